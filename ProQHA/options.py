"""The values that the options of ProQHA's scripts make, see :mod:`ProQHA.parsers`."""

from argparse import Namespace
from dataclasses import dataclass, replace

from common.cli.distillation import distillation_of
from common.cli.run_options import RunOptions, run_options
from common.cli.training import TrainingOptions
from common.cli.training_options import check_new_head
from common.cli.validation import Validation, validation_of
from common.errors import ConfigError
from common.models.registry import model
from common.training import Schedule, TrainConfig
from ProQHA.candidates import Moves, Targets
from ProQHA.cost_model import MixedBits
from ProQHA.measuring import BitsChoice
from ProQHA.network import choose, note
from ProQHA.progressive import Plan
from ProQHA.ranking import RankOptions
from ProQHA.searching import ScoreOptions, SearchOptions
from ProQHA.start import StartOptions

CLIP_LIMIT = 5.0  # limit of the gradient's norm by --clip, as in the original release


@dataclass(frozen=True)
class Choice:
    """A network, and the options that all scripts share.

    Attributes:
        run: options of all scripts, with the data set settled.
        arch: name of the network in the registry.
    """

    run: RunOptions
    arch: str

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return self.run.data.dataset


def choice(args: Namespace) -> Choice:
    """The network and the data set that the options name; says so where the name means another network elsewhere.

    Raises:
        ConfigError: no such network for these images.
    """
    run = run_options(args)
    name, dataset = choose(args.arch, args.num_layers, run.data.dataset, run.data.path is not None)
    if line := note(args.arch, name):
        print(line)
    return Choice(run if dataset == run.data.dataset else run.on_dataset(dataset), name)


def bits_choice(args: Namespace) -> BitsChoice:
    """The bits that the options of ``measure.py`` describe."""
    each = None if args.layer_bits is None else tuple(args.layer_bits)
    return BitsChoice(each, _mixed_bits(args))


def _mixed_bits(args: Namespace) -> MixedBits:
    return MixedBits(args.bits, args.pre_k_bits, args.ratio, args.bits_file)


def start_options(args: Namespace, chosen: Choice, bits: MixedBits | None = None) -> StartOptions:
    """The network that training or a search begins with.

    Args:
        args: resolved options.
        chosen: network and data set.
        bits: bits of the quantizers where the start is a float network; None: ``--bits`` everywhere.

    Raises:
        ConfigError: more than one start, or a network that does not take the images.
    """
    model(chosen.arch, chosen.dataset)
    starts = {"pretrained": "float", "init_from": "latent", "resume": None}
    given = [option for option in starts if getattr(args, option)]
    if len(given) > 1:
        raise ConfigError(f"expected one start, found --{' and --'.join(given)}; give one of them")
    path, kind = (getattr(args, given[0]), starts[given[0]]) if given else (None, None)
    return StartOptions(
        arch=chosen.arch,
        dataset=chosen.dataset,
        seed=args.seed,
        path=path,
        kind=kind,
        bits=bits or MixedBits(args.bits, args.bits),
        activation_clip=args.activation_clip,
        even_filters=args.even_filters,
    )


def training_start(args: Namespace, chosen: Choice) -> StartOptions:
    """The network that ``train.py`` begins with.

    Raises:
        ConfigError: a new last layer of no float network, and as :func:`start_options`.
    """
    check_new_head(args)
    about = {"new_head": args.new_head, "bias_images": args.bias_correction}
    return replace(start_options(args, chosen, _mixed_bits(args)), **about)


def training_options(args: Namespace, arch: str) -> TrainingOptions:
    """The run that the options of ``train.py`` describe, of a network by its name in the registry."""
    milestones = max(1, args.epochs // 2), max(2, 3 * args.epochs // 4)
    schedule = Schedule(args.schedule, args.lr, milestones=milestones, warmup_epochs=args.warmup_epochs)
    how = _train_config(args, args.epochs, schedule, args.optimizer)
    about = validation_of(args), args.new_head, distillation_of(args, arch), args.tensorboard
    return TrainingOptions(how, args.output_dir / args.run_name, args.run_name, args.go_on, *about)


def _train_config(args: Namespace, epochs: int, schedule: Schedule, optimizer: str) -> TrainConfig:
    return TrainConfig(
        epochs=epochs,
        batch_size=args.batch_size,
        schedule=schedule,
        optimizer=optimizer,
        weight_decay=args.weight_decay,
        grad_clip_norm=grad_clip_norm(args),
        seed=args.seed,
    )


def grad_clip_norm(args: Namespace) -> float | None:
    """Limit of the gradient's norm; ``--clip``, an option of the original release, stands for 5.

    Raises:
        ConfigError: the two options contradict each other.
    """
    if args.clip and args.grad_clip_norm not in (None, CLIP_LIMIT):
        raise ConfigError(f"clip: it stands for --grad_clip_norm {CLIP_LIMIT:g}, found both; leave one of them out")
    return CLIP_LIMIT if args.clip else args.grad_clip_norm


def search_options(args: Namespace, chosen: Choice) -> SearchOptions:
    """The search that the options of ``search.py`` describe.

    Raises:
        ConfigError: targets out of range, two ways to new statistics, and as :func:`start_options`.
    """
    if args.bias_correction and args.search_epochs:
        raise ConfigError(
            f"bias_correction: expected --search_epochs 0, found {args.search_epochs}: training moves statistics"
        )
    targets = Targets(args.cost, args.compute_cost, args.floor, args.weight_floor)
    training = None
    if args.search_epochs:
        training = _train_config(args, args.search_epochs, Schedule("cosine", args.lr), "adam")
    return SearchOptions(
        start=start_options(args, chosen),
        plan=Plan(args.step, args.lam, targets, Moves(args.ratio, args.interval), args.seed, args.return_bits),
        score=_score_options(args),
        training=training,
        bias_images=args.bias_correction,
        folder=args.output_dir / args.run_name,
        go_on=args.go_on,
        validation=Validation(args.validation),
    )


def _score_options(args: Namespace) -> ScoreOptions:
    if args.pseudo_labels and args.score == "acc":
        raise ConfigError(
            "pseudo_labels: expected --score fisher or adam, found acc, which reads the labels of the images it keeps"
        )
    return ScoreOptions(
        kind=args.score,
        images=args.score_images,
        pseudo_labels=args.pseudo_labels,
        held_out=args.held_out,
        batch_size=args.batch_size,
        lr=args.lr,
        grad_clip_norm=grad_clip_norm(args),
        seed=args.seed,
    )


def rank_options(args: Namespace, chosen: Choice) -> RankOptions:
    """The measurement that the options of ``correlation.py`` describe."""
    return RankOptions(
        start=start_options(args, chosen),
        interval=args.interval,
        score_images=args.score_images,
        loss_images=args.loss_images,
        lr=args.lr,
        grad_clip_norm=grad_clip_norm(args),
    )
