"""Opens a dataset written by Stretto with LeRobot's own reader and compares every item with what was recorded.

Runs in an environment of its own, because LeRobot pins other versions than Stretto does:

    python3.11 -m venv /tmp/judge && . /tmp/judge/bin/activate
    pip install torch==2.13.0 huggingface_hub==2.4.0 aiohttp requests pandas
    pip install --no-deps lerobot==0.4.4 datasets==5.2.0 dill multiprocess xxhash draccus jsonlines einops safetensors
    pip install --no-deps deepdiff orderly-set pyyaml-include mergedeep typing-inspect mypy-extensions toml termcolor
    pip install --no-deps imageio accelerate==1.15.0 psutil gymnasium==1.4.0 Farama-Notifications cloudpickle rerun-sdk
    pip install --no-deps numpy==2.4.6 pillow==13.0.0 av==18.1.0 pyarrow==26.0.1 jaxtyping==0.3.11 wadler_lindig==0.1.8
    HF_HUB_OFFLINE=1 PYTHONPATH=src python tools/lerobot_reader_check.py

It records synthetic episodes, opens them through `LeRobotDataset(repo_id, root=..., video_backend="pyav")` and prints
what was compared; it ends with an AssertionError at the first difference. LeRobot 0.4 decodes through a class that new
versions of torchvision no longer have; where it is missing, a stand-in of this file decodes with PyAV, and LeRobot's
own search by time and its check of tolerances still run. LeRobot 0.6 (Python 3.12) decodes with PyAV itself.
"""

import argparse
import importlib.util
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from stretto.core.rng import generator
from stretto.core.signals import Event, Image, Kind, Sound
from stretto.data.episodes import Episode, Steps
from stretto.data.lerobot import LeRobotReader, LeRobotWriter

SIZE, CAMERAS, PROPRIO, ACTIONS = 64, ("front", "wrist"), 19, 7


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Compare LeRobot's reader with what Stretto recorded.")
    parser.add_argument("--episodes", type=int, default=4)
    options = parser.parse_args()
    if not has_torchvision():
        stand_in()
        print("torchvision: stand-in (decoding with PyAV)")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        recorded = [episode(seed) for seed in range(options.episodes)]
        with LeRobotWriter(root, robot_type="panda") as writer:
            for one in recorded:
                writer.write(one)
        compare(root, recorded)
        compare_windows(root)
    print("all equal")
    return 0


def episode(seed: int) -> Episode:
    """A synthetic episode; the length differs with the seed and is no multiple of a row's steps."""
    rng, steps = generator(seed, "check"), 41 + 9 * seed
    sound = Sound(samples=rng.uniform(-0.5, 0.5, 800 * steps).astype(np.float32), rate=16_000)
    return Episode(
        task=("open the drawer", "push the plate")[seed % 2],
        seed=seed,
        split="train",
        steps=Steps(
            t=np.arange(steps) / 20,
            proprio=rng.normal(size=(steps, PROPRIO)).astype(np.float32),
            action=rng.normal(size=(steps, ACTIONS)).astype(np.float32),
            success=np.arange(steps) > steps - 3,
            halted=rng.random(steps) < 0.2,
        ),
        images={name: tuple(picture(rng, name, k) for k in range(-(-steps // 4))) for name in CAMERAS},
        heard_sound=sound,
        events=(Event(kind=Kind.USER_STARTED, t=0.5, source="user", text="stop"),),
    )


def picture(rng: np.random.Generator, camera: str, k: int) -> Image:
    """One colour with a ramp of brightness: survives H.264 within two levels, and no two are alike."""
    ramp = np.linspace(0, 60, SIZE)[None, :, None]
    pixels = rng.integers(40, 180, 3) + np.broadcast_to(ramp, (SIZE, SIZE, 1))
    return Image(camera=camera, t=k / 5, pixels=pixels.astype(np.uint8))


def compare(root: Path, recorded: list[Episode]) -> None:
    """Every item of LeRobot's dataset against the recorded episodes, and Stretto's reader against LeRobot's frames."""
    dataset = opened(root)
    assert dataset.num_episodes == len(recorded), (dataset.num_episodes, len(recorded))
    place, worst = 0, 0.0
    for number, one in enumerate(recorded):
        own = LeRobotReader(root).read(number)
        rows = -(-len(one.steps) // 4)
        for row in range(rows):
            item = dataset[place]
            here = np.minimum(np.arange(4 * row, 4 * row + 4), len(one.steps) - 1)
            equal(item["observation.state"], one.steps.proprio[4 * row])
            equal(item["action"], one.steps.action[here].reshape(-1))
            equal(item["control.state"], one.steps.proprio[here])
            equal(item["control.t"], one.steps.t[here].astype(np.float32))
            equal(item["control.success"], one.steps.success[here])
            equal(item["control.halted"], one.steps.halted[here])
            equal(item["control.steps"], min(4, len(one.steps) - 4 * row))
            equal(item["episode_index"], number)
            equal(item["frame_index"], row)
            equal(item["index"], place)
            assert item["task"] == one.task, (item["task"], one.task)
            assert ("user started" in item["events"]) == (row == 2), item["events"]
            for camera in CAMERAS:
                frame = item[f"observation.images.{camera}"].numpy().transpose(1, 2, 0) * 255
                equal(np.round(frame), own.images[camera][row].pixels)
                worst = max(worst, float(np.abs(frame - one.images[camera][row].pixels).mean()))
            place += 1
    assert len(dataset) == place, (len(dataset), place)
    mean = np.concatenate([one.steps.proprio[::4] for one in recorded]).mean(axis=0)
    np.testing.assert_allclose(dataset.meta.stats["observation.state"]["mean"], mean, atol=1e-6)
    assert worst < 3.0, worst
    print(f"{place} items of {len(recorded)} episodes; pictures differ from the recorded by at most {worst:.2f} of 255")


def compare_windows(root: Path) -> None:
    """Windows of neighbouring rows (delta_timestamps), padded at the ends, and one episode opened alone."""
    dataset = opened(root, delta_timestamps={"action": [0.0, 0.2], "observation.images.front": [-0.2, 0.0]})
    last = int(dataset.meta.episodes[0]["dataset_to_index"]) - 1
    item, following = dataset[0], dataset[1]
    equal(item["action"][1], following["action"][0])
    equal(following["observation.images.front"][0], item["observation.images.front"][1].numpy())
    assert item["observation.images.front_is_pad"].tolist() == [True, False]
    assert dataset[last]["action_is_pad"].tolist() == [False, True]
    alone = opened(root, episodes=[1])
    whole = opened(root)
    equal(alone[0]["observation.state"], whole[last + 1]["observation.state"].numpy())
    print("windows over neighbouring rows and a single episode")


def opened(root: Path, **options: Any) -> Any:
    """LeRobot's dataset."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset("stretto/check", root=root, video_backend="pyav", **options)


def equal(ours: Any, theirs: Any) -> None:
    """Raises AssertionError unless both are the same numbers."""
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def has_torchvision() -> bool:
    """Whether a torchvision is installed that still decodes films."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    import torchvision

    return hasattr(torchvision.io, "VideoReader")


class VideoReader:
    """What LeRobot 0.4 needs of torchvision's reader: seek to a key frame, then frames with their times."""

    def __init__(self, path: str, stream: str = "video") -> None:
        self.container = av.open(path)

    def seek(self, seconds: float, keyframes_only: bool = True) -> None:
        """Goes to the key frame at or before `seconds`."""
        stream = self.container.streams.video[0]
        assert stream.time_base is not None
        self.container.seek(int(seconds / stream.time_base), stream=stream)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        import torch

        for frame in self.container.decode(video=0):
            pixels = torch.from_numpy(frame.to_ndarray(format="rgb24").transpose(2, 0, 1).copy())
            yield {"data": pixels, "pts": frame.time}


def stand_in() -> None:
    """Registers modules named torchvision; what LeRobot imports of them and never reaches here is plain `object`."""
    names = ("torchvision", "torchvision.io", "torchvision.transforms", "torchvision.transforms.v2")
    modules: dict[str, Any] = {name: types.ModuleType(name) for name in names}
    for name, module in modules.items():
        module.__spec__ = importlib.util.spec_from_loader(name, loader=None)
        module.__path__, module.__getattr__ = [], _unreached
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    modules["torchvision"].set_video_backend = lambda backend: None
    modules["torchvision.io"].VideoReader = VideoReader
    sys.modules.update(modules)


def _unreached(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return object


if __name__ == "__main__":
    sys.exit(main())
