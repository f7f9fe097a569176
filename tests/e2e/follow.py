"""Output of a program that goes on, line by line as it comes: consoles and events that are followed."""
import queue
import re
import subprocess
import threading

import steps


class Follow:
    """`nuraghe ARGUMENTS` until the with-block ends; lines are waited for, at most `patience` seconds each."""

    def __init__(self, world: steps.World, *arguments: str, patience: float = 120):
        self.name = " ".join(arguments)
        self.patience = patience
        self.lines = queue.SimpleQueue()
        self.process = subprocess.Popen(world.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def next_line(self) -> str | None:
        """None at the end of the output."""
        try:
            return self.lines.get(timeout=self.patience)
        except queue.Empty:
            raise steps.Failure(f"nuraghe {self.name} printed nothing for {self.patience:.0f} s") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class Console(Follow):
    """A tiny guest's console: READY, then "beat 1", "beat 2", ... as long as its memory goes on."""

    def __init__(self, world: steps.World, host: str):
        super().__init__(world, "console", host, "--follow")
        self.beats = []

    def beat_above(self, count: int) -> int:
        """Waits for the first beat above `count`."""
        while (line := self.next_line()) is not None:
            if found := re.fullmatch(r"beat (\d+)", line):
                self.beats.append(int(found[1]))
                if self.beats[-1] > count:
                    return self.beats[-1]
        raise steps.Failure(f"{self.name} ended before beat {count + 1}")

    def is_unbroken(self) -> bool:
        return all(after == before + 1 for before, after in zip(self.beats, self.beats[1:]))
