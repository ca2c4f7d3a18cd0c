"""The commands of a page of examples/, run as they stand there."""

import re
import subprocess

import harness


class Page:
    """Its blocks, one after the other, by bash in `folder`; the variables that are named are there
    in the next block. The folder has the page's examples, the terms and the program."""

    def __init__(self, test, name, variables):
        self.test, self.variables = test, variables
        for linked in ("examples", "terms"):
            if not (test.folder / linked).exists():
                (test.folder / linked).symlink_to(harness.ROOT / linked)
        (test.folder / "bin").mkdir()
        (test.folder / "bin/retort").symlink_to(harness.PROGRAM)
        text = (harness.ROOT / "examples" / name / "README.md").read_text()
        self.blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)

    def next(self, says):
        """The next block, which is told by its words; left there if they are not in it."""
        self.test.assertIn(says, self.blocks[0])
        return self.blocks.pop(0)

    def run(self, block, code=0):
        lines = ["PATH=$PWD/bin:$PATH", "set -a", "[ -e variables ] && . ./variables", block,
                 "code=$?", "for name in " + " ".join(self.variables) + "; do",
                 '  printf "%s=%q\\n" $name "${!name}"', "done > variables", "exit $code"]
        done = subprocess.run(["bash", "-c", "\n".join(lines)], cwd=self.test.folder, text=True,
                              capture_output=True, timeout=240)
        said = f"{block}\nexit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        self.test.assertEqual(done.returncode, code, said)
        self.test.assertNotIn("internal error", done.stderr, said)
        return done.stdout + done.stderr

    def value(self, name):
        text = (self.test.folder / "variables").read_text()
        return re.search(rf"^{name}=(.*)$", text, re.M).group(1)
