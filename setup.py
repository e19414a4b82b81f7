"""Compiles the integer engine into the wheel, so that the runtime needs no compiler where it is installed."""

import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent))

from common.engine.library import SHIPPED, wheel_recipe
from common.kernels.compiler import BuildError


class BuildWithLibrary(build_py):
    """Adds the library to the packages; without a compiler they are complete but for it, and a line says so."""

    def run(self) -> None:
        """Copy the packages, compile beside their copies."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / SHIPPED.relative_to(Path(__file__).resolve().parent)
        try:
            wheel_recipe().make(target)
        except BuildError as error:
            print(f"warning: the wheel has no compiled engine, it will need a compiler: {error}", file=sys.stderr)


class PlatformDistribution(Distribution):
    """Packages that hold machine code."""

    def has_ext_modules(self) -> bool:
        """As if setuptools had compiled it."""
        return True


class PlatformWheel(bdist_wheel):
    """A wheel of one processor and system, but of every Python: the library is called by ctypes."""

    def get_tag(self) -> tuple[str, str, str]:
        """Any Python 3, no ABI of it, this platform."""
        return "py3", "none", super().get_tag()[2]


setup(distclass=PlatformDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
