"""Device, precision and several processes, by accelerate."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.errors import RequestError
from tether.objective import Runner

SHARDED = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM")


def check_launch(environment: Mapping[str, str]) -> None:
    """Refuse a launch that shards the weights: teachers read the student's, and checkpoints hold whole ones.

    Raises:
        RequestError: the launcher asks for FSDP, DeepSpeed or Megatron.
    """
    for name in SHARDED:
        if environment.get(name, "false").lower() == "true":
            raise RequestError(
                f"launch: {name} is set, but tether trains whole copies of the model (DDP); launch with "
                "torchrun, or accelerate launch --multi_gpu; docs/scale.md says how large a model that fits"
            )


class Engine:
    """What the loop needs of accelerate.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 on a GPU that has it, else fp32.

    Example:
        >>> Engine("fp32").autocast is not None
        True
    """

    def __init__(self, precision: str = "auto") -> None:
        check_launch(os.environ)
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.state import AcceleratorState

        if precision == "auto":
            gpu = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
            precision = "bf16" if gpu else "fp32"
        # The state is one a process and refuses a second precision; a grid of runs needs both in turn.
        AcceleratorState._reset_state()
        # A head or branch that no term uses has no gradient; DDP must not wait for it.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        self._accelerator: Any = Accelerator(
            mixed_precision="bf16" if precision == "bf16" else "no", kwargs_handlers=[unused]
        )
        self.precision = precision
        self.device: torch.device = self._accelerator.device
        self.is_main: bool = self._accelerator.is_main_process
        self.processes: int = self._accelerator.num_processes

    def prepare(self, model: nn.Module) -> Runner:
        """Move the model to the device and wrap it for several processes.

        accelerate also replaces the model's forward by one that forces the precision. The loop sets the
        precision around its forwards (`autocast`), and an attack computes in fp32: the model keeps its own.
        """
        runner: Runner = self._accelerator.prepare_model(model)
        for name in ("forward", "_original_forward"):
            model.__dict__.pop(name, None)
        return runner

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """The precision of the forward passes; losses compute in fp32 by themselves."""
        context: contextlib.AbstractContextManager[None] = self._accelerator.autocast()
        return context

    def backward(self, loss: Tensor) -> None:
        """Back-propagate."""
        self._accelerator.backward(loss)

    def agreed(self, asked: bool) -> bool:
        """Whether any process asks; all give the same answer."""
        if self._accelerator.num_processes == 1:
            return asked
        votes = torch.tensor(int(asked), device=self.device)
        return bool(self._accelerator.reduce(votes, reduction="sum").item())

    def averaged(self, values: Mapping[str, float]) -> dict[str, float]:
        """Each number's mean over the processes; every process must ask for the same names."""
        if self.processes == 1 or not values:
            return dict(values)
        mine = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        mean: Tensor = self._accelerator.reduce(mine, reduction="mean")
        return dict(zip(values, mean.tolist(), strict=True))

    @contextlib.contextmanager
    def alone(self, lock: Path) -> Iterator[None]:
        """Hold a lock file for all processes of this run together; another run waits.

        Each taking it by itself would be a deadlock: the one that has it trains, and training waits for the
        others. The main process takes it; they go on when it has it, and leave before it lets go.
        """
        from filelock import FileLock

        with FileLock(lock) if self.is_main else contextlib.nullcontext():
            self._accelerator.wait_for_everyone()
            yield
            self._accelerator.wait_for_everyone()

    def share(self, rows: Sequence[int]) -> list[int]:
        """This process's part of a step's rows."""
        world, rank = self._accelerator.num_processes, self._accelerator.process_index
        return list(rows[rank::world])
