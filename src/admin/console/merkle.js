// Checks the audit's proofs in the browser: the Merkle tree of RFC 6962 with SHA-256, checkpoints
// as C2SP's tlog-checkpoint and signed-note have them. WebCrypto does the hashing, which a browser
// gives to pages of loopback and of https alone.
export function available() { return Boolean(globalThis.crypto?.subtle); }

const encode = text => new TextEncoder().encode(text);
export const hex = bytes => [...bytes].map(b => b.toString(16).padStart(2, "0")).join("");
const unhex = text => Uint8Array.from(text.match(/../g) || [], pair => parseInt(pair, 16));
const unbase64 = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const same = (a, b) => hex(a) === hex(b);

export async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}
const leaf_hash = entry => sha256([0], encode(entry));
const node_hash = (left, right) => sha256([1], left, right);

// RFC 9162, 2.1.3.2: whether the path leads from the leaf to the root.
export async function includes(entry, index, { size, root }, path) {
  if (!(index >= 0 && index < size)) return false;
  let fn = index, sn = size - 1, r = await leaf_hash(entry);
  for (const step of path.map(unhex)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = await node_hash(step, r);
      while (fn % 2 === 0 && fn !== 0) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
    } else {
      r = await node_hash(r, step);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && same(r, root);
}

// RFC 9162, 2.1.4.2: whether the tree of `now` continues the one of `old`.
export async function continues(old, now, path) {
  if (old.size > now.size || old.size < 1) return false;
  if (old.size === now.size) return path.length === 0 && same(old.root, now.root);
  const steps = path.map(unhex);
  const power = Number.isInteger(Math.log2(old.size));
  if (power) steps.unshift(old.root);
  if (steps.length === 0) return false;
  let fn = old.size - 1, sn = now.size - 1;
  while (fn % 2 === 1) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
  let fr = steps[0], sr = steps[0];
  for (const step of steps.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = await node_hash(step, fr);
      sr = await node_hash(step, sr);
      while (fn % 2 === 0 && fn !== 0) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
    } else {
      sr = await node_hash(sr, step);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && same(fr, old.root) && same(sr, now.root);
}

export function read_checkpoint(text) {
  const [origin, size, root] = text.split("\n");
  return { origin, size: Number(size), root: unbase64(root), text };
}

// Whether the log's key signed it; null where this browser knows no Ed25519.
export async function is_signed(checkpoint, public_key) {
  const [body, signatures] = checkpoint.text.split("\n\n");
  const kind = { name: "Ed25519" };
  let key;
  try {
    key = await crypto.subtle.importKey("raw", unbase64(public_key), kind, false, ["verify"]);
  } catch {
    return null;
  }
  for (const line of signatures.split("\n")) {
    const [dash, name, signature] = line.split(" ");
    if (dash !== "—" || name !== checkpoint.origin) continue;
    const bytes = unbase64(signature).slice(4);  // behind the key's id
    if (await crypto.subtle.verify(kind, key, bytes, encode(body + "\n"))) return true;
  }
  return false;
}

// A segment's digest is the name of its entry: whether these bytes are that segment, and hold the
// line at its place.
export async function holds(segment, entry, number, line) {
  const name = JSON.parse(entry).name;
  if (hex(await sha256(segment)) !== name) return false;
  return new TextDecoder().decode(segment).split("\n")[number] === line;
}
