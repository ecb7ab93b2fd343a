"""The official client: prints, as JSON, what each problem is answered with, whole and streamed.

python ask_openai.py MODE, with OPENAI_BASE_URL and OPENAI_API_KEY
"""

import json
import sys
from pathlib import Path

import openai

client = openai.OpenAI(max_retries=0)
answers = []
for line in Path("problems.jsonl").read_text(encoding="utf-8").splitlines():
    asked = {
        "model": "forking",
        "messages": [{"role": "user", "content": json.loads(line)["question"]}],
        "temperature": 0,
        "extra_body": {"mode": sys.argv[1]},
    }
    whole = client.chat.completions.create(**asked).choices[0].message.content
    chunks = client.chat.completions.create(**asked, stream=True)
    streamed = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    answers.append([whole, streamed])
print(json.dumps(answers))
