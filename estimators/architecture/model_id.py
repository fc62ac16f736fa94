"""What can be the id of a model on the Hub. Pure: `huggingface_hub`, whose rule it is, takes a second to import."""

from __future__ import annotations

import re

# `huggingface_hub.utils.validate_repo_id`, 2.4: letters, digits, "_", "-" and "."; neither part starts or ends with "-"
# or "." or is longer than 96; no "--" or ".." anywhere; no ".git" at the end.
PART = r"\w(?:[\w.-]{0,94}\w)?"
MODEL_ID = re.compile(rf"(?!.*(?:--|\.\.))(?:{PART}/)?{PART}(?<!\.git)", re.ASCII)
