"""Fast pictures of a MuJoCo scene: no multisampling, shadows or reflections, and only the visual geoms in view.

On a software renderer the cost of a picture is its vertices and its passes, not its pixels: with these flags a picture
of LIBERO with 128 pixels a side costs 22 to 28 ms instead of 60 to 70. It differs from the suite's own picture by three
to four grey levels on average (edges are jagged, mirrors are matt): numbers compare among fast pictures only.

Needs: a GL that works without a screen (EGL: Debian's `libegl1 libgl1-mesa-dri`). Nothing here touches GL before the
first picture, so physics runs without it.
"""

import ctypes
import os
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from stretto.core.errors import StrettoError, unknown

_OUT_OF_VIEW = 5
"""A geom group that is never drawn."""
_OFF = ("disable", "disabled", "off", "false", "0")


GL_SETTINGS = {"LP_NUM_THREADS": "0"}
"""What software rendering of small pictures is fastest with: no rasteriser threads, which also leaves the other core to
the rest. Mesa reads it when the first context is made; a setting of the user's stays."""


def choose_gl() -> bool:
    """Settles MUJOCO_GL before mujoco is imported: EGL unless the user chose otherwise. False when there is no GL.

    Without libEGL the variable becomes `disable`, because importing mujoco for EGL would fail.
    """
    for name, value in GL_SETTINGS.items():
        os.environ.setdefault(name, value)
    chosen = os.environ.get("MUJOCO_GL", "").strip().lower()
    if chosen in _OFF:
        return False
    if chosen in ("", "egl"):
        try:
            ctypes.CDLL("libEGL.so.1")
        except OSError:
            os.environ["MUJOCO_GL"] = "disable"
            return False
        os.environ["MUJOCO_GL"] = "egl"
    return True


def no_pictures(why: str) -> StrettoError:
    """The error for a machine that cannot render."""
    return StrettoError(
        f"Pictures need a GL that works without a screen, and there is none ({why}). Install Debian's libegl1 and "
        "libgl1-mesa-dri, and leave MUJOCO_GL unset or set it to egl. Everything but pictures works without."
    )


class Pictures:
    """Renderers of one model, one per picture size, made when first used.

    `render` returns uint8 RGB, upright. `close` frees the GL contexts; do it before the process ends.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._groups = model.geom_group.copy()
        self._renderers: dict[tuple[int, int], Any] = {}

    def render(self, data: Any, camera: str, height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
        """The picture of `data` from the named camera of the model. Raises StrettoError without a GL."""
        renderer = self._renderers.get((height, width))
        if renderer is None:
            renderer = self._renderers[height, width] = self._make(height, width)
        seen = in_view(self._model, data, camera, width / height)
        self._model.geom_group[:] = np.where(seen, self._groups, _OUT_OF_VIEW)
        renderer.update_scene(data, camera, self._option)
        self._model.geom_group[:] = self._groups
        for flag in self._flags:
            renderer.scene.flags[flag] = 0
        return renderer.render()

    def close(self) -> None:
        """Frees every renderer."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def _make(self, height: int, width: int) -> Any:
        if height < 1 or width < 1:
            raise StrettoError(f"A picture needs at least one pixel each way, got {height} x {width}.")
        import mujoco

        if os.environ.get("MUJOCO_GL", "").strip().lower() in _OFF:
            raise no_pictures(f"MUJOCO_GL is '{os.environ['MUJOCO_GL']}'")
        visual = self._model.vis
        visual.quality.offsamples = 0
        visual.global_.offwidth = max(visual.global_.offwidth, width)
        visual.global_.offheight = max(visual.global_.offheight, height)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = [0, 1, 0, 0, 0, 0]
        self._flags = (mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_SHADOW)
        try:
            return mujoco.Renderer(self._model, height, width)
        except (RuntimeError, ImportError, mujoco.FatalError) as error:
            raise no_pictures(str(error)) from error


def in_view(model: Any, data: Any, camera: str, aspect: float) -> Bool[np.ndarray, " geoms"]:
    """Which geoms may show in a picture: whose bounding sphere reaches into the camera's cone of view.

    The others are left out of the scene, which changes no pixel and saves their vertices. `aspect` is width by height.
    """
    eye = model.camera(camera).id
    place = (data.geom_xpos - data.cam_xpos[eye]) @ data.cam_xmat[eye].reshape(3, 3)
    radius, depth = model.geom_rbound, -place[:, 2]
    high = np.tan(np.radians(model.cam_fovy[eye]) / 2)
    seen = depth > -radius
    for axis, half in ((0, high * aspect), (1, high)):
        seen &= np.abs(place[:, axis]) <= depth * half + radius * np.sqrt(1 + half**2)
    return seen | (radius == 0)  # a plane has no bounding sphere


def camera_name(name: str, cameras: dict[str, str]) -> str:
    """The model's name of one of our cameras; StrettoError with the nearest name for a wrong one."""
    if name not in cameras:
        raise unknown("camera", name, cameras)
    return cameras[name]
