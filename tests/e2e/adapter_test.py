#!/usr/bin/env python3
"""An adapter trained beside the weights of an earlier run: what is kept, published and refused."""

import json
import struct

import fake_teacher
import harness

USAGE = 2


def tensors(path):
    """Name to bytes of a safetensors file."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__", None)
    data = content[8 + size:]
    return {name: data[slice(*entry["data_offsets"])] for name, entry in header.items()}


class AdapterTest(harness.Run):
    def run_from_base(self, train):
        """A run whose student starts from the weights of a finished one."""
        weights = (harness.ROOT / "terms/apache-2.0-weights.toml").read_text()
        # Under a series of its own: an edited copy of a shipped one needs a decider's signature.
        weights = weights.replace("apache-2.0-weights", "house-licence")
        (self.folder / "weights.toml").write_text(
            weights.replace("retort maintainers", "the tester"))
        text = (self.folder / "run.toml").read_text()
        (self.folder / "run.toml").write_text(text.replace('"fake"', '"SmolLM2-135M-Instruct"'))
        self.retort("run", "run.toml")
        (self.folder / "out/student").rename(self.folder / "base")
        text = (self.folder / "run.toml").read_text()
        text = text.replace("[student]\nlayers = 1\nwidth = 64", '[student]\nfrom = "base"\n'
                            'terms = ["weights.toml"]\nbase_model = "SmolLM2"')
        text = text.replace("[train]\n", "[train]\n" + train)
        (self.folder / "run.toml").write_text(text)

    def test_it_is_trained_alone_and_published_beside_the_student(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url)
            self.run_from_base('lora_rank = 4\nlora_targets = ["q_proj", "down_proj"]\n'
                               'lr = 0.01\n')
            self.retort("run", "run.toml")
        out = self.folder / "out"
        config = json.loads((out / "adapter/adapter_config.json").read_text())
        self.assertEqual((config["peft_type"], config["r"], config["lora_alpha"]), ("LORA", 4, 8))
        self.assertEqual(config["target_modules"], ["q_proj", "down_proj"])
        self.assertEqual(config["base_model_name_or_path"], "SmolLM2")
        self.assertEqual((out / "adapter/adapter_model.safetensors").read_bytes(),
                         (out / "train/final/adapter/adapter_model.safetensors").read_bytes())
        # The weights knew their own tokenizer, and only the targets moved.
        self.assertEqual((out / "student/tokenizer.json").read_bytes(),
                         (self.folder / "base/tokenizer.json").read_bytes())
        before = tensors(self.folder / "base/model.safetensors")
        after = tensors(out / "student/model.safetensors")
        moved = {name for name in before if before[name] != after[name]}
        self.assertEqual(moved, {"model.layers.0.self_attn.q_proj.weight",
                                 "model.layers.0.mlp.down_proj.weight"})
        for file in (out / "train/checkpoints").rglob("*.safetensors"):
            self.assertLess(file.stat().st_size, 16384)  # the weights take over 200 KB
        self.assertEqual(json.loads((out / "summary/train.json").read_text())["counts"]
                         ["adapter_parameters"], 4 * (64 + 64) + 4 * (64 + 192))

    def test_it_needs_weights_to_stand_beside(self):
        with fake_teacher.FakeTeacher() as teacher:
            self.run_file(teacher.url, train="lora_rank = 4")
            said = self.retort("run", "run.toml", code=USAGE).stderr
            self.assertIn("student.from", said)
            self.assertFalse((self.folder / "out/shards").exists())  # said before anything is asked


if __name__ == "__main__":
    harness.main()
