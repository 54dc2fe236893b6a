"""Which sentence answers which question? A Hugging Face tokenizer and a static embedding.

Tokenizer and weights are files of the package wordllama: nothing is downloaded.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
from safetensors.numpy import load
from tokenizers import Tokenizer

DATA, OUTPUTS = Path("data"), Path("outputs")
PACKAGE = files("wordllama")


def main() -> None:
    OUTPUTS.mkdir(exist_ok=True)
    tokenizer = Tokenizer.from_str(
        (PACKAGE / "tokenizers" / "l2_supercat_tokenizer_config.json").read_text("utf-8")
    )
    tokenizer.no_padding()
    (weights,) = load((PACKAGE / "weights" / "l2_supercat_256.safetensors").read_bytes()).values()
    sentences = (DATA / "sentences.txt").read_text("utf-8").splitlines()
    questions = (DATA / "questions.txt").read_text("utf-8").splitlines()
    tokens = {
        text: tokenizer.encode(text, add_special_tokens=False).ids
        for text in (*sentences, *questions)
    }
    vectors = {text: direction(weights[ids].astype(np.float32)) for text, ids in tokens.items()}
    similarity = np.array(
        [
            [vectors[question] @ vectors[sentence] for sentence in sentences]
            for question in questions
        ]
    )
    np.savez(OUTPUTS / "search.npz", similarity=similarity, ranking=np.argsort(-similarity))
    answers = [
        {"question": question, "tokens": tokens[question], "answer": sentences[best]}
        for question, best in zip(questions, similarity.argmax(axis=1), strict=True)
    ]
    (OUTPUTS / "answers.json").write_text(json.dumps(answers, indent=1))


def direction(words: np.ndarray) -> np.ndarray:
    """Of the mean of the words' vectors, which has length 1."""
    mean = words.mean(axis=0)
    return mean / np.linalg.norm(mean)


if __name__ == "__main__":
    main()
