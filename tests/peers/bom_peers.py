#!/usr/bin/env python3
"""retort's bills of materials against the standards' own models: cyclonedx-python-lib's strict
schema of 1.6, and SPDX's generated Python model of 3.0.1, which refuses unknown types, members and
values, and members that are missing.

    bom_peers.py TEST_PROGRAM    (the room's tests, which write both documents)
"""

import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from spdx_python_model import v3_0_1 as spdx
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)


def check(what, holds):
    print(("ok   " if holds else "WRONG"), what)
    check.failed = check.failed or not holds


check.failed = False


def cyclonedx_accepts(text):
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        print(str(problem)[:300])
    return problem is None


def spdx_accepts(document):
    try:
        objects = spdx.SHACLObjectSet()
        spdx.JSONLDDeserializer().read(io.BytesIO(json.dumps(document).encode()), objects)
        spdx.JSONLDSerializer().write(objects, io.BytesIO(), force_at_graph=True)
        return True
    except (ValueError, TypeError, KeyError) as error:
        print("     ", str(error)[:200])
        return False


def damaged(document, kind, change):
    copy = json.loads(json.dumps(document))
    change(next(item for item in copy["@graph"] if item["type"] == kind))
    return copy


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], "--gtest_filter=BomTest.WritesBothForOthersToCheck"],
                       env={**os.environ, "RETORT_BOM_OUT": folder}, check=True,
                       stdout=subprocess.DEVNULL)
        cdx = (pathlib.Path(folder) / "bom.cdx.json").read_text()
        document = json.loads((pathlib.Path(folder) / "bom.spdx.json").read_text())
    check("CycloneDX 1.6 accepts the document", cyclonedx_accepts(cdx))
    check("and refuses an unknown member",
          not cyclonedx_accepts(cdx.replace('"bomFormat"', '"surprise": 1, "bomFormat"', 1)))
    check("SPDX 3.0.1 accepts the document", spdx_accepts(document))
    check("and refuses an unknown value", not spdx_accepts(damaged(
        document, "dataset_DatasetPackage",
        lambda item: item.update(dataset_datasetType=["surprise"]))))
    check("and a missing member", not spdx_accepts(damaged(
        document, "dataset_DatasetPackage", lambda item: item.pop("dataset_datasetType"))))
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
