"""Tiny random language models with a word tokenizer, and a server on this machine; nothing is fetched."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

_WORDS = "the a film was is good bad fine very not day it and of we saw 3"
VOCABULARY = ["<pad>", "<end>", "<unk>", *_WORDS.split()]
CHAT = (
    "{% for m in messages %}<end>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<end>{% endif %}"
)


def tokenizer(folder: Path, chat: bool = False) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(VOCABULARY)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<end>", unk_token="<unk>"
    )
    if chat:
        fast.chat_template = CHAT
    fast.save_pretrained(folder)
    return fast


def causal(folder: Path, chat: bool = False, positions: int = 512) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer(folder, chat)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(VOCABULARY), n_embd=16, n_layer=1, n_head=2, n_positions=positions,
        bos_token_id=1, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def seq2seq(folder: Path) -> Path:
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(VOCABULARY), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


Answer = tuple[int, dict[str, str], bytes]


@contextlib.contextmanager
def server(answer: Callable[[dict[str, Any], dict[str, str], int], Answer]) -> Iterator[str]:
    """An address that answers POST with `answer(body, headers, how many came before)`."""
    came: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            came.append(1)
            status, headers, out = answer(body | {"path": self.path}, dict(self.headers), len(came) - 1)
            self.send_response(status)
            for key, value in {"Content-Length": str(len(out)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_: Any) -> None:
            return None

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/v1"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def said(text: str | None, reason: str | None = "stop") -> Answer:
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}]}
    return 200, {}, json.dumps(body).encode()
