"""Training on the LFI-CAM page: what to train, the job behind it, curves and maps as they come, what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cam_core.charts import learning_chart
from cam_core.models.devices import resolve_device
from cam_core.models.trainable.checkpoints import card_path
from cam_core.models.trainable.trained import ARCHITECTURE_TITLES
from cam_core.training import BUILT_IN, EpochReport, ImageSet, TrainingError, TrainSettings, open_data, train
from cam_core.training.lfi import BEST
from cam_core.types import CamError
from pages.lfi import board
from pages.runtime import compute, devices, polling
from pages.runtime.jobs import Job
from pages.runtime.limits import limits
from pages.shared import charts, downloads, links, messages, models, photo, style

BACKBONES: Final = {
    "resnet8": "ResNet-8 · fastest",
    "resnet14": "ResNet-14",
    "resnet20": "ResNet-20",
    "resnet32": "ResNet-32 · slow on a CPU",
    "densenet22": "DenseNet-22",
}
_QUICK: Final[dict[str, Any]] = {"learning_rate": 0.2}
"""For the digits: what few epochs learn most with, by trying; twice the rate of long trainings."""

_CURRENT: Final = "_training"
_GROUP: Final = "training"
_REFUSED: Final = "_training_refused"


@dataclass(frozen=True)
class Run:
    """A training that was begun: its job, and the settings that began it."""

    job: Job
    settings: TrainSettings

    @property
    def reports(self) -> list[EpochReport]:
        """One for each epoch that is done."""
        return [item for item in self.job.items if isinstance(item, EpochReport)]

    @property
    def best(self) -> EpochReport:
        """The epoch whose network is kept, of a run that has one."""
        return next(report for report in reversed(self.reports) if report.best)

    @property
    def data(self) -> str:
        """What it learns from, in the visitor's words: where the app has put their zip is nothing to them."""
        zipped = Path(self.settings.data).is_relative_to(self.settings.out.parents[1])
        return Path(self.settings.data).name if zipped else self.settings.data

    @property
    def previews(self) -> ImageSet | None:
        """The images whose maps are shown, as soon as they are known."""
        return next((item for item in self.job.items if isinstance(item, ImageSet)), None)

    @property
    def kept(self) -> str | None:
        """The key of the trained network among the visitor's models, once there is one."""
        return next((item for item in self.job.items if isinstance(item, str)), None)


def section() -> Run | None:
    """The form, and the run that was begun last; that is returned once it has ended with something learnt."""
    run: Run | None = st.session_state.get(_CURRENT) or _come_back()
    busy = run is not None and run.job.active
    _form(busy)
    if refusal := st.session_state.pop(_REFUSED, ""):
        messages.failure("This is not trained now.", refusal, key="train")
    if run is None:
        st.html(style.quiet("Nothing is trained yet in this visit. A minute is enough to read nine digits in ten."))
    elif busy:
        _growing(run)
    else:
        _ended(run)
        return run if run.reports else None
    return None


def _come_back() -> Run | None:
    """The run that goes on from before the page was loaded again."""
    job = compute.visitor_jobs().find(_GROUP)
    if job is None:
        return None
    st.session_state[_CURRENT] = Run(job, job.about)
    return Run(job, job.about)


# ---- what to train


def _form(busy: bool) -> None:
    form, file = st.container(horizontal=True, vertical_alignment="bottom", key="training-form"), st.container()
    with form:
        arch = links.choice(
            "arch",
            "Architecture",
            ARCHITECTURE_TITLES,
            default="lfi",
            width=180,
        )
        backbone = links.choice("backbone", "Backbone", BACKBONES, default="resnet8", width=180)
        data = _data(file)
        epochs = _number("Epochs", "epochs", 5, 1, 200, 1, "Passes over the training images.")
        images = _number("Training images", "train-images", 4000, 20, 50_000, 500, "How many of them are used.")
        seed = _number("Seed", "train-seed", 0, 0, 2**31 - 1, 1, "Of weights, order and augmentation.")
        clicked = st.button("Train", type="primary", disabled=busy, key="train", icon=":material/model_training:")
    if clicked:
        _begin(arch, backbone, data, epochs, images, seed)


def _data(place: DeltaGenerator) -> str:
    """What `open_data` takes; a zip is taken at `place`."""
    folders = limits().folders
    if not folders:
        _close_folder()
    folder_help = " Folder: the same, on the machine that the app runs on." if folders else ""
    source = st.segmented_control(
        "Data",
        ["Digits", "Zip", "Folder"] if folders else ["Digits", "Zip"],
        default="Digits",
        required=True,
        key="train-data",
        bind="query-params",
        help="Digits: the built-in set, handwritten digits pasted on photos. Zip: photos of yours, with one folder of "
        f"images for each class.{folder_help}",
    )
    if source == "Digits":
        return BUILT_IN
    if source == "Zip":
        with place:
            unpacked = photo.from_zip("training")
        return str(unpacked.folder) if unpacked else ""
    folder = st.text_input("Folder", key="train-folder", bind="query-params", placeholder="~/photos", width=260)
    return folder.strip()


def _close_folder() -> None:
    """Say of a link that names a folder why it is not opened."""
    if "train-folder" in st.query_params or st.query_params.get("train-data") == "Folder":
        links.note(
            "The link names a folder of the machine that the app runs on. Others can reach this app, so no folder is "
            "opened: put the photos into a zip."
        )
        st.query_params.pop("train-folder", None)


def _number(label: str, key: str, value: int, low: int, high: int, step: int, help: str) -> int:
    return int(st.number_input(label, low, high, value, step, key=key, bind="query-params", width=118, help=help))


def _begin(arch: str, backbone: str, data: str, epochs: int, images: int, seed: int) -> None:
    if not data:
        messages.failure(
            "Nothing to train on.",
            f"{'Name a folder' if limits().folders else 'Choose a zip'} that holds one folder of images per class.",
            key="train",
        )
        return
    most = limits().training_images
    if images > most:
        messages.failure("This is not trained here.", f"At most {most:,} images are used: choose fewer.", key="train")
        return
    identity = compute.digest(arch, backbone, data, epochs, images, seed)[:12]
    try:
        settings = TrainSettings(
            out=compute.visitor_folder() / "runs" / identity,
            arch=arch,
            backbone=backbone,
            data=data,
            epochs=epochs,
            count=images,
            seed=seed,
            **_QUICK if data == BUILT_IN else {},
        )
    except CamError as error:
        messages.failure("This cannot be trained.", str(error), key="train")
        return
    start(settings, ())
    st.rerun()


def start(settings: TrainSettings, before: tuple[Any, ...]) -> None:
    """Begin, or go on where the same run was stopped; `before` is what was published of it until then.

    Where the visitor trains as much as is allowed, the page says so when it is drawn next.
    """
    jobs = compute.visitor_jobs()
    if jobs.working(_GROUP) >= limits().trainings:
        st.session_state[_REFUSED] = "Another tab of yours is training: wait for it, or cancel it there."
        return
    key = f"{_GROUP}{settings.out.name}"
    jobs.keep_only([], prefix=_GROUP)
    title = f"{ARCHITECTURE_TITLES[settings.arch]}, {settings.backbone}"
    job = jobs.start(key, partial(_work, settings, before, models.own_folder()), title=title, about=settings)
    st.session_state[_CURRENT] = Run(job, settings)


def _work(settings: TrainSettings, before: tuple[Any, ...], networks: Path, job: Job) -> None:
    """In the worker's thread. Whatever ends it, the best network so far is among the visitor's models."""
    for item in before:
        job.publish(item)
    try:
        data = open_data(settings.data, size=settings.size, seed=settings.data_seed, count=settings.count)
        if not before:
            job.publish(data.previews)
        # A run is the same again by its seed.
        with devices.computing(str(resolve_device(settings.device)), job, alone=True) as progress:
            train(settings, progress=progress, on_epoch=job.publish)
    except TrainingError as error:
        raise TrainingError(_without_paths(str(error), settings)) from error
    finally:
        best = settings.out / BEST
        if card_path(best).is_file():
            job.publish(models.keep(best, networks))


def _without_paths(text: str, settings: TrainSettings) -> str:
    """An error in the visitor's words: where the app has put their zip, or their run, is nothing to them."""
    text, own = text.replace(str(settings.out), "this visit"), settings.out.parents[1]
    zipped = Path(settings.data).is_relative_to(own)
    return text.replace(settings.data, Path(settings.data).name) if zipped else text


# ---- while it runs


def _growing(run: Run) -> None:
    def draw() -> None:
        _curves(run, key="growing-curves")
        if run.reports:
            _maps(run, run.reports[-1])

    _state(run)
    polling.watch([run.job], draw, key="growing", every=polling.SELDOM)


def _state(run: Run) -> None:
    """How far it is, and how to go on where it has ended before its time."""
    again = ("Go on", partial(_again, run))
    stays = " What was learnt before stays." if run.reports else ""
    messages.pending(
        run.job,
        f"Training {run.job.title}",
        "The training stopped.",
        again,
        key="training",
        leave=messages.cancel(run.job),
        stays=stays,
        cancelled=(_cancelled(run), again),
    )


def _curves(run: Run, key: str, mark: int | None = None) -> None:
    reports = run.reports
    if not reports:
        st.html(style.quiet("The first point comes after the first epoch."))
    charts.show(
        learning_chart(
            [report.loss for report in reports],
            [report.train_accuracy for report in reports],
            [report.accuracy for report in reports],
            epochs=run.settings.epochs,
            mark=mark,
        ),
        key=key,
        alt=f"Loss and accuracy over {len(reports)} of {run.settings.epochs} epochs",
    )


def _maps(run: Run, report: EpochReport) -> None:
    """The fixed images, with their attention after that epoch."""
    if run.previews is None:
        return
    caption = f"Attention after epoch {report.epoch}, on held-out images:"
    if report.attention is None:
        caption = "The baseline has no attention of its own: explain it on the other pages."
    st.html(style.quiet(caption))
    st.html(_previews(run.previews, report))


def _previews(previews: ImageSet, report: EpochReport) -> str:
    cells = []
    for index in range(len(previews)):
        picture = previews.picture(index)
        alt = f"Held-out image {index}"
        if report.attention is not None:
            picture = board.heat(picture, report.attention[index], 0.55)
            alt = f"Attention heatmap of preview {index} after epoch {report.epoch}"
        cells.append(board.image(picture, alt))
    return f'<div class="cam-previews">{"".join(cells)}</div>'


# ---- when it has ended


def _ended(run: Run) -> None:
    if not run.job.wait(polling.OFTEN):
        st.rerun()  # it stops at its next batch
    if run.job.fruitless:
        _state(run)
    if run.reports:
        _result(run)


def _cancelled(run: Run) -> str:
    done = len(run.reports)
    if not done:
        return "Cancelled in the first epoch: there is no network yet."
    return f"Cancelled after {done} of {run.settings.epochs} epochs. The best network is kept."


def _again(run: Run) -> None:
    start(run.settings, tuple(item for item in run.job.items if not isinstance(item, str)))


def _result(run: Run) -> None:
    reports = run.reports
    best = run.best
    st.html(
        style.subtitle(
            "Best: epoch ",
            str(best.epoch),
            f" of {run.settings.epochs}, with {style.percent(best.accuracy)} of the held-out images right. "
            f"{style.duration(sum(report.seconds for report in reports))} in all.",
        )
    )
    _inspect(run, best)
    if run.kept is not None:
        _use(run.kept)


@st.fragment
def _inspect(run: Run, best: EpochReport) -> None:
    """Curves, and the maps after any epoch: redrawn alone, so that the slider answers at once."""
    reports = run.reports
    epoch = best.epoch
    if len(reports) > 1:
        epoch = st.slider("After epoch", 1, len(reports), best.epoch, key=f"epoch-{run.job.key}", width=320)
    _curves(run, key="curves", mark=epoch)
    _maps(run, reports[epoch - 1])


def _use(key: str) -> None:
    path = models.own_folder() / f"{key}.safetensors"
    with st.container(horizontal=True, vertical_alignment="center", key="use-network"):
        if st.button("Explain this network", key="use", icon=":material/compare:"):
            _explain(key)
        for file, label in ((path, "Weights"), (card_path(path), "Card")):
            downloads.button(label, file.read_bytes, file.name, key=f"save-{label}")
    st.html(style.quiet("It stands in the model picker of the other pages until this visit ends; save it to keep it."))


def _explain(key: str) -> None:
    """To Compare, with that network and, where it reads digits, a digit."""
    st.session_state[links.widget_key("model")] = key
    st.session_state["source"] = "Gallery"
    st.switch_page("pages/compare/page.py", query_params={})
