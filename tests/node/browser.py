"""Chromium without a window, from Debian's package: nothing is installed, and no driver is needed."""

import os
import subprocess
import tempfile
from pathlib import Path

import debian

CACHE = Path(__file__).parents[2] / ".cache/chromium"
LIBRARIES = (
    *("libasound", "libasyncns", "libatk", "libatspi", "libavahi", "libblkid", "libbrotli", "libbsd", "libcairo"),
    *("libcap2", "libcom-err", "libcups", "libdatrie", "libdav1d", "libdbus-1", "libdouble", "libdrm2", "libexpat"),
    *("libffi", "libflac", "libfontconfig1", "libfreetype", "libfribidi", "libgbm1", "libgcrypt", "libglib2", "libgmp"),
    *("libgnutls", "libgpg-error", "libgraphite2", "libgssapi", "libharfbuzz", "libhogweed", "libidn2", "libjpeg62"),
    *("libk5crypto", "libkeyutils", "libkrb5", "liblcms2", "liblz4", "libmd0", "libminizip", "libmount", "libmp3lame"),
    *("libmpg123", "libnettle", "libnspr", "libnss3", "libogg", "libopenh264", "libopenjp2", "libopus", "libp11"),
    *("libpango", "libpcre2-8", "libpixman", "libpng16", "libpulse0", "libselinux", "libsndfile", "libsystemd0"),
    *("libtasn1", "libthai", "libudev", "libunistring", "libvorbis", "libwayland-server", "libx", "libzstd"),
)
NEEDED = ("chromium-common", "fontconfig-config", "zlib1g", *LIBRARIES)
"""All that Chromium depends on would be twice as much."""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1280,480"),
)


def program() -> Path:
    """Return the folder in which Chromium is unpacked. Raises NoPackages."""
    return debian.unpacked(CACHE, ["chromium", "fonts-dejavu-core"], NEEDED)


def page(url: str, picture: Path) -> str:
    """Return the page as its scripts have made it within five seconds of its own time, and draw it into a PNG file."""
    root = program().resolve()
    [libraries] = root.glob("usr/lib/*-linux-gnu")
    environment = os.environ | {
        "LD_LIBRARY_PATH": f"{libraries}:{libraries}/pulseaudio:{libraries}/nss",
        "FONTCONFIG_SYSROOT": str(root),
    }
    with tempfile.TemporaryDirectory() as profile:
        command = [root / "usr/lib/chromium/chromium", *FLAGS, f"--user-data-dir={profile}"]
        command += ["--virtual-time-budget=5000", f"--screenshot={picture}", "--dump-dom", url]
        done = subprocess.run(command, env=environment | {"HOME": profile}, check=True, capture_output=True, text=True)
    return done.stdout
