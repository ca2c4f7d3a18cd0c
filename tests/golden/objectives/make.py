#!/usr/bin/env python3
"""Writes expected.json: what PyTorch's autograd makes of every objective on small rows of logits.

Run with the peers' environment: python make.py. Everything is in double and from the formulas'
definitions by torch's own functions (kl_div, cross_entropy), not by a closed form of the gradient.
"""
import json
import pathlib

import torch
import torch.nn.functional as F

ROWS, VOCAB, KEPT = 3, 21, 5
torch.manual_seed(7)


def kl(to, of):
    """sum of `to` log(to / of), from log-probabilities."""
    return F.kl_div(of, to, log_target=True, reduction="none").sum(-1)


def mixed(log_a, share_a, log_b):
    return torch.logsumexp(torch.stack([log_a + torch.tensor(share_a).log(),
                                        log_b + torch.tensor(1 - share_a).log()]), 0)


def divergence(name, mix, log_q, log_p):
    if name == "forward_kl":
        return kl(log_q, log_p)
    if name == "reverse_kl":
        return kl(log_p, log_q)
    if name == "jsd":
        m = mixed(log_q, mix, log_p)
        return mix * kl(log_q, m) + (1 - mix) * kl(log_p, m)
    if name == "skew_kl":
        return kl(log_q, mixed(log_q, mix, log_p))
    return kl(log_p, mixed(log_q, 1 - mix, log_p))


def with_tail(log_probs, ids):
    kept = log_probs.gather(-1, ids)
    tail = torch.log1p(-kept.exp().sum(-1, keepdim=True))
    return torch.cat([kept, tail], -1)


def case(name, mix, temperature, soft, smoothing, z_loss, sparse):
    z = logits.clone().requires_grad_()
    log_p, log_q = (z / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)
    if sparse:
        log_p, log_q = with_tail(log_p, ids), with_tail(log_q, ids)
    hard = F.cross_entropy(z, targets, label_smoothing=smoothing, reduction="none")
    hard = hard + z_loss * z.logsumexp(-1) ** 2
    rows = (1 - soft) * hard + soft * temperature ** 2 * divergence(name, mix, log_q, log_p)
    loss = (rows * weights).sum()
    loss.backward()
    return {"name": name, "mix": mix, "temperature": temperature, "soft": soft,
            "label_smoothing": smoothing, "z_loss": z_loss, "sparse": sparse,
            "loss": loss.item(), "gradient": z.grad.flatten().tolist()}


def chosen_log_probs(z):
    return z.log_softmax(-1).gather(-1, targets[:, None])[:, 0]


def sampled(log_ratios):
    """Sampled reverse KL of tokens drawn where the student was `log_ratios` less sure of them."""
    z = logits.clone().requires_grad_()
    log_p, log_q = chosen_log_probs(z), chosen_log_probs(teacher)
    drawn = rounded(log_p.detach() - torch.tensor(log_ratios, dtype=torch.double))
    ratio = (log_p - drawn).exp().clamp(max=2).detach()
    (ratio * (log_p - log_q).detach() * log_p).sum().backward()
    return {"drawn": drawn.tolist(), "reference": rounded(log_q).tolist(),
            "loss": (ratio * (log_p - log_q)).sum().item(),
            "gradient": z.grad.flatten().tolist()}


def preference(beta, smoothing):
    """DPO as TRL's "sigmoid" loss: row 0 is the chosen answer, rows 1 and 2 the rejected one."""
    z = logits.clone().requires_grad_()
    log_p, reference = chosen_log_probs(z), rounded(chosen_log_probs(teacher))
    gained = log_p - reference
    x = beta * (gained[0] - gained[1] - gained[2])
    loss = -F.logsigmoid(x) * (1 - smoothing) - F.logsigmoid(-x) * smoothing
    loss.backward()
    return {"beta": beta, "smoothing": smoothing, "reference": reference.tolist(),
            "loss": loss.item(), "gradient": z.grad.flatten().tolist()}


def rounded(tensor):
    return tensor.float().double()


logits = rounded(2 * torch.randn(ROWS, VOCAB, dtype=torch.double))
teacher = rounded(2 * torch.randn(ROWS, VOCAB, dtype=torch.double))
weights = rounded(torch.tensor([1.0, 0.5, -2.0], dtype=torch.double))
targets = torch.tensor([0, 20, 7])
ids = torch.stack([torch.randperm(VOCAB)[:KEPT] for _ in range(ROWS)])
cases = []
for kind, share in (("forward_kl", 0.5), ("reverse_kl", 0.5), ("jsd", 0.1), ("jsd", 0.5),
                    ("skew_kl", 0.1), ("skew_reverse_kl", 0.1)):
    cases.append(case(kind, share, 1.0, 1.0, 0.0, 0.0, False))
    cases.append(case(kind, share, 2.0, 0.7, 0.1, 1e-2, False))
    cases.append(case(kind, share, 1.0, 0.7, 0.1, 1e-2, True))
cases.append(case("forward_kl", 0.5, 1.0, 0.0, 0.2, 1e-2, False))
out = {"made_by": "torch " + torch.__version__.split("+")[0], "rows": ROWS, "vocab": VOCAB,
       "logits": logits.flatten().tolist(), "teacher": teacher.flatten().tolist(),
       "weights": weights.tolist(), "targets": targets.tolist(), "kept_ids": ids.tolist(),
       "cases": cases, "sampled": [sampled([0.0, 0.0, 0.0]), sampled([0.3, -0.5, 1.5])],
       "preference": [preference(0.1, 0.0), preference(2.0, 0.0), preference(0.5, 0.1)]}
path = pathlib.Path(__file__).with_name("expected.json")
path.write_text(json.dumps(out) + "\n")
