# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Many answers to one picture
#
# A variational generator encodes a picture into a distribution of codes. Drawing from it gives other translations of
# the same picture, and between two pictures there is a walk. Runs as it is on glasses of water and of wine.

# %%
import os
from pathlib import Path

import numpy as np
from PIL import Image

import viceversa
from viceversa.data import water2wine
from viceversa.data.grid import grid
from viceversa.paths import list_images

folder = Path(os.environ.get("VICEVERSA_NOTEBOOK", "notebook-variational"))
steps = int(os.environ.get("VICEVERSA_STEPS", "2000"))

if not (folder / "data").exists():
    water2wine.make(folder / "data", size=64)

# %%
config = viceversa.load_config(
    "cyclegan-vae",
    [
        f"data.root={folder / 'data'}",
        f"run={folder / 'run'}",
        "data.load=64",
        "data.crop=64",
        "generator.width=16",
        "discriminator.width=32",
        "method.kl=0.3",
        "train.batch=2",
        "train.ema=0.99",
        "train.precision=auto",
        "train.channels_last=auto",
        f"train.length={steps} steps",
        f"train.decay={steps // 2} steps",
    ],
)
run = viceversa.train(config)

# %% [markdown]
# ## Samples
#
# Four codes, four translations. If they look alike, raise `method.kl`; if they forget their input, lower it.

# %%
translate = viceversa.load(run)
one, other = (Image.open(path).convert("RGB") for path in list_images(folder / "data" / "testA")[:2])
columns = {"input": [one, other], "mean": [translate(one), translate(other)]}
for number, images in enumerate(zip(translate.samples(one, 4), translate.samples(other, 4), strict=True), 1):
    columns[f"sample {number}"] = list(images)
grid({name: [np.asarray(image) for image in images] for name, images in columns.items()})

# %% [markdown]
# ## A walk
#
# In eight equal steps from the code of one picture to that of the other.

# %%
grid({str(n): [np.asarray(image)] for n, image in enumerate(translate.interpolate(one, other, 8))})
