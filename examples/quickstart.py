# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Two folders of pictures become a translator
#
# Runs as it is, in some minutes on a CPU, on domains that draw themselves: glasses of water and of wine. Then set
# `photos` and `drawings` to folders of your own, with a hundred pictures each or more.
#
# In a hosted notebook choose a GPU, upload the project, and run `%pip install ./viceversa` first.

# %%
import os
from pathlib import Path

from PIL import Image

import viceversa
from viceversa.data import water2wine
from viceversa.paths import list_images

folder = Path(os.environ.get("VICEVERSA_NOTEBOOK", "notebook"))
steps = int(os.environ.get("VICEVERSA_STEPS", "1800"))

if not (folder / "data").exists():
    water2wine.make(folder / "data", size=64)
photos, drawings = folder / "data" / "trainA", folder / "data" / "trainB"

# %% [markdown]
# ## Train
#
# `style` changes the whole picture, `object` one thing in it. This is a small one of the second kind. The cell shows
# what becomes of the same test pictures; stop it whenever you like, and run it again to continue.

# %%
config = viceversa.load_config(
    "water2wine-small",
    [
        f"data.a={photos}",
        f"data.b={drawings}",
        "data.paired_test=false",
        f"run={folder / 'run'}",
        f"train.length={steps} steps",
        f"train.decay={steps // 2} steps",
    ],
)
run = viceversa.train(config)

# %% [markdown]
# ## Translate

# %%
to_wine = viceversa.load(run)
to_wine

# %%
picture = Image.open(list_images(folder / "data" / "testA")[0])
result = to_wine(picture)
before_and_after = Image.new("RGB", (2 * picture.width, picture.height))
before_and_after.paste(picture.convert("RGB"), (0, 0))
before_and_after.paste(result, (picture.width, 0))
before_and_after.resize((512, 256), Image.Resampling.NEAREST)

# %% [markdown]
# The way back is `viceversa.load(run, "BtoA")`. How good is it, and what next? See `run.report`, and the documentation.

# %%
print(run.report)
