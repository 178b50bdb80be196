"""What recordings and training bought over the base voice, in a sentence."""

from collections.abc import Sequence

from svc.progress import some


def describe_gain(
    before: float, after: float, singers: Sequence[str], recorded_minutes: float, trained_minutes: float
) -> str:
    """A sentence for the user; `before` and `after` are mel distances to held-out recordings in nepers.

    `before` is the base's, which for a singer it does not know sings as its prompt encoder hears that singer.
    """
    given = (
        f"{recorded_minutes:.1f} minutes of recordings of {some(list(singers))} and {trained_minutes:.1f} minutes of "
        "training"
    )
    if after >= before:
        return (
            f"{given} did not bring the voice nearer to the held-out recordings than the base is (mel distance "
            f"{before:.3f}): give more recordings or more time."
        )
    share = 100 * (1 - after / before)
    return (
        f"{given} brought the mel distance to held-out recordings from {before:.3f}, the base's, to {after:.3f}: "
        f"{share:.0f} % less."
    )
