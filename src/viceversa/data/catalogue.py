"""Data sets that `viceversa data get` knows: where they are, how large, how to tell that they came whole.

Sizes and SHA-256 sums of the CycleGAN sets are those that TensorFlow Datasets publishes, in its
`url_checksums/cycle_gan.txt`. The MD5 sums are what other public loaders check against; they notice damage, not malice.
"""

from __future__ import annotations

from dataclasses import dataclass

PIX2PIX = ("https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{}.tar.gz",)
CYCLEGAN = (
    "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{}.zip",
    "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/{}.zip",
)
ZEBRAS = "https://huggingface.co/datasets/kerls/cyclegan-horse2zebra/resolve/main/horse2zebra.zip"
CITYSCAPES = (
    "its licence asks everyone to register at https://www.cityscapes-dataset.com and download it there; "
    "lay photos and label maps into two folders, then data.a=PHOTOS data.b=LABELS"
)


@dataclass(frozen=True)
class KnownSet:
    """A data set by name."""

    name: str
    title: str
    """What is in domains A and B."""
    megabytes: int
    """To download, about; 0 if that is not known."""
    mirrors: tuple[str, ...] = ()
    """Addresses of one archive, the best first."""
    checksum: str | None = None
    """Of the archive: "sha256:..." or "md5:..."."""
    kaggle: str | None = None
    """OWNER/NAME of a data set at Kaggle, which its own package downloads."""
    train: str | None = None
    """What to type after `viceversa train`, but for data.root; None if the pictures are not ready to train on."""
    note: str = ""
    """What else to know; for a set that cannot be downloaded, what to do."""

    @property
    def line(self) -> str:
        """Name, size and title, for a list."""
        size = f"{self.megabytes:,} MB" if self.megabytes else ""
        return f"{self.name:24}{size:>9}  {self.title}{'  (Kaggle)' if self.kaggle else ''}"

    @property
    def archive(self) -> str:
        """The file name of the archive: the set's own name, and the suffix of the mirrors'."""
        return self.name + (".tar.gz" if self.mirrors[0].endswith(".tar.gz") else ".zip")


def _pairs(name: str, title: str, megabytes: int, md5: str, direction: str = "AtoB") -> KnownSet:
    """Return a set of pix2pix: A and B side by side in one file."""
    train = "pix2pix" if direction == "AtoB" else "pix2pix method.direction=BtoA"
    return KnownSet(name, title, megabytes, tuple(m.format(name) for m in PIX2PIX), md5, train=train)


def _domains(name: str, title: str, megabytes: int, checksum: str, original: str = "", extra: str = "") -> KnownSet:
    """Return a set of CycleGAN: trainA, trainB, testA, testB."""
    mirrors = [mirror.format(original or name) for mirror in CYCLEGAN]
    return KnownSet(name, title, megabytes, (*mirrors, *filter(None, [extra])), checksum, train="cyclegan")


def _kaggle(name: str, title: str, megabytes: int, handle: str, note: str, train: str | None = None) -> KnownSet:
    return KnownSet(name, title, megabytes, kaggle=handle, train=train, note=note)


SETS = (
    _pairs("facades", "photos of facades | label maps", 30, "md5:e2e25dd517e9d15828416ab329da2854", "BtoA"),
    _pairs("maps", "aerial photos | maps", 250, "md5:e5f65d26eb288457f5ac056deb94d154"),
    _pairs("edges2shoes", "edges | shoes", 2100, "md5:71da478b54fedde126e234a2a050bc15"),
    _pairs("edges2handbags", "edges | handbags", 8600, "md5:815592f22fa7f7534a286a25bb73bf03"),
    _pairs("night2day", "night | day", 2100, "md5:fd21b1d447a1f927fed41aabedd85baa"),
    _domains(
        "horse2zebra",
        "horses, zebras",
        117,
        "sha256:a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
        extra=ZEBRAS,
    ),
    _domains(
        "apple2orange",
        "apples, oranges",
        78,
        "sha256:845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
    ),
    _domains(
        "summer2winter_yosemite",
        "Yosemite in summer, in winter",
        133,
        "sha256:167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
    ),
    _domains(
        "monet2photo",
        "Monet's paintings, photos of landscapes",
        305,
        "sha256:88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
    ),
    _domains(
        "cezanne2photo",
        "Cézanne's paintings, photos of landscapes",
        280,
        "sha256:3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
    ),
    _domains(
        "ukiyoe2photo",
        "ukiyo-e prints, photos of landscapes",
        293,
        "sha256:02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
    ),
    _domains(
        "vangogh2photo",
        "van Gogh's paintings, photos of landscapes",
        307,
        "sha256:362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
    ),
    _domains(
        "iphone2dslr_flower",
        "flowers by a phone, by a DSLR",
        340,
        "sha256:8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113",
    ),
    _domains(
        "maps-unpaired",
        "aerial photos, maps",
        1477,
        "sha256:639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
        original="maps",
    ),
    _domains(
        "facades-unpaired",
        "photos of facades, label maps",
        35,
        "sha256:9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
        original="facades",
    ),
    _domains("ae_photos", "photos for artistic effects", 10, "md5:93831625466b64eaeba58babc52d70f9"),
    _domains("grumpifycat", "Russian Blue cats, Grumpy Cat", 19, "md5:cd971b33708c50f02cb2f9f89181883a"),
    KnownSet("cityscapes", "street photos | label maps", 0, note=CITYSCAPES),
    _kaggle("celeba", "200,000 photos of faces", 1400, "jessicali9530/celeba-dataset", "one domain: use it as data.a"),
    _kaggle(
        "onepiece",
        "characters of One Piece, a folder each",
        0,
        "ibrahimserouis99/one-piece-image-classifier",
        "one domain: crop the faces with `viceversa data faces`, then use it as data.b",
    ),
    _kaggle("person2anime", "selfies, anime faces", 0, "sharmayush/person2anime", "", "face2anime-lite"),
    _kaggle(
        "cyclegan-kaggle", "the CycleGAN sets in one", 0, "suyashdamle/cyclegan", "several sets: name one as data.root"
    ),
)
