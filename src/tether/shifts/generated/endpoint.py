"""Back end: any server that answers POST {base_url}/chat/completions as OpenAI's does."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tether.errors import RequestError
from tether.shifts.generated.writer import FEWEST_TOKENS, TOKEN_RATIO, Reply, Sampling, Task

ATTEMPTS = 5
LONGEST_WAIT = 60.0  # seconds between two attempts
LARGEST = 1 << 22  # bytes of an answer that are read
LETTERS_PER_TOKEN = 3  # fewer than of most English tokens: the server's tokenizer is not known here
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to an address that the user did not name."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def checked_address(base_url: str, key_env: str | None) -> str:
    """The address without a slash at its end.

    Raises:
        RequestError: it is no http address, holds a password, or would carry a key unencrypted; `key_env` is
            no name of an environment variable.
    """
    found = urllib.parse.urlsplit(base_url)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise RequestError(
            f"shift.base_url: expected an address like http://localhost:8000/v1, got {base_url!r}; mend it"
        )
    if found.username or found.password or found.query:
        raise RequestError(
            "shift.base_url: expected no user, password or query in the address, since configs are written "
            "to disk; put the key into an environment variable and its name into `key_env`"
        )
    if key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", key_env):
        raise RequestError(  # without the value, which may be a key
            "shift.key_env: expected the name of an environment variable that holds the key, such as "
            "OPENAI_API_KEY, got something else; never put the key itself into a config"
        )
    if key_env is not None and found.scheme == "http" and found.hostname not in LOOPBACK:
        raise RequestError(
            f"shift.base_url: a key would cross the network unencrypted to {found.hostname}; use https"
        )
    return base_url.rstrip("/")


class Endpoint:
    """Rewrites by a server; the texts leave this machine for it.

    Args:
        base_url: without /chat/completions.
        model: as the server calls it.
        key_env: the environment variable that holds the key; None sends none. The key is read when it is
            sent, and is written nowhere.
        sampling: temperature, top-p and seed; a server that ignores the seed gives other rewrites next time,
            which matters little, as replies are kept.
        timeout: seconds for one answer.
        parallel: requests under way at once.
        sleep: waits between attempts.

    Raises:
        RequestError: as `checked_address`; the environment variable is not set.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        key_env: str | None,
        sampling: Sampling,
        timeout: float = 60.0,
        parallel: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = f"{checked_address(base_url, key_env)}/chat/completions"
        self.model = model
        self.key_env = key_env
        self.sampling = sampling
        self.timeout = timeout
        self.parallel = parallel
        self.sleep = sleep
        self._key()

    def write(self, tasks: Sequence[Task]) -> list[Reply]:
        """Replies, in order.

        Raises:
            RequestError: the server refuses, stays unreachable, or answers with something else.
        """
        with ThreadPoolExecutor(max_workers=self.parallel) as pool:
            return list(pool.map(self._one, tasks))

    def _key(self) -> str:
        key = os.environ.get(self.key_env, "") if self.key_env else ""
        if self.key_env and not key:
            raise RequestError(
                f"shift.key_env: the environment variable {self.key_env} is not set; export the server's key "
                "in it"
            )
        return key

    def _one(self, task: Task) -> Reply:
        letters = TOKEN_RATIO * len(task.text) / LETTERS_PER_TOKEN
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": task.prompt.of(task.text)}],
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "max_tokens": max(FEWEST_TOKENS, math.ceil(letters)),
            "seed": task.number % (1 << 31),
        }
        answer = self._post(json.dumps(body).encode())
        try:
            choice = json.loads(answer)["choices"][0]
            text, reason = choice["message"]["content"], choice.get("finish_reason")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as e:
            raise RequestError(
                f"generated: expected {self.url} to answer with choices[0].message.content, got "
                f"{self._safe(answer)!r}; is it an OpenAI-compatible server?"
            ) from e
        return Reply(str(text or "").strip(), reason in ("stop", None))

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := self._key():
            headers["Authorization"] = f"Bearer {key}"
        opener = urllib.request.build_opener(_NoRedirect)
        trouble = ""
        for attempt in range(ATTEMPTS):
            asked = urllib.request.Request(self.url, body, headers, method="POST")
            wait = min(2.0**attempt, LONGEST_WAIT)
            try:
                with opener.open(asked, timeout=self.timeout) as answer:
                    return bytes(answer.read(LARGEST))
            except urllib.error.HTTPError as e:
                with e:
                    said = self._safe(e.read(LARGEST))
                trouble = f"status {e.code} ({said})"
                if e.code not in AGAIN:
                    raise RequestError(
                        f"generated: {self.url} refused with {trouble}; check base_url, model and key_env"
                    ) from None
                wait = max(wait, _seconds(e.headers.get("Retry-After")))
            except (OSError, http.client.HTTPException) as e:  # unreachable, cut off, timed out
                trouble = f"{type(e).__name__}: {self._safe(str(e).encode())}"
            if attempt + 1 < ATTEMPTS:
                self.sleep(min(wait, LONGEST_WAIT))
        raise RequestError(
            f"generated: {self.url} did not answer in {ATTEMPTS} attempts, the last ended with {trouble}; "
            "what was rewritten so far is kept, run again when the server is well"
        )

    def _safe(self, answer: bytes) -> str:
        """The beginning of what came back, for an error; a server may echo the key."""
        text = answer[:2000].decode("utf-8", "replace")
        key = os.environ.get(self.key_env, "") if self.key_env else ""
        return " ".join((text.replace(key, "[key]") if key else text).split())[:300]


def _seconds(value: str | None) -> float:
    try:
        return max(0.0, float(value or 0))
    except ValueError:  # a date
        return 0.0
