import pytest

from svc.data.manifest import Utterance
from svc.data.splitting import split_by_recording


def utterances(lengths: dict[str, list[int]], speaker="ann"):
    """Recordings by name with the lengths of their slices in seconds."""
    out = []
    for name, slices in lengths.items():
        start = 0
        for seconds in slices:
            samples = seconds * 1000
            out.append(
                Utterance(
                    f"{speaker}{name}{start}", speaker, name, f"{speaker}{name}", start, samples, 1, "train", 1, 2, 3
                )
            )
            start += samples
    return out


def held(split):
    return [u for u in split.utterances if u.split == "validation"]


@pytest.mark.parametrize("count", [20, 100, 1000])
def test_many_clips_hold_out_the_asked_share_of_recordings(count):
    split = split_by_recording(utterances({f"{i}": [4] for i in range(count)}), 0.05)
    assert len(held(split)) == count // 20 and split.notes == []


def test_recordings_are_held_out_whole_and_by_content_only():
    given = utterances({f"{i}": [5, 6, 7] for i in range(12)})
    split = split_by_recording(given, 0.1)
    by_recording = {}
    for u in split.utterances:
        by_recording.setdefault(u.recording, set()).add(u.split)
    assert all(len(kinds) == 1 for kinds in by_recording.values())
    again = split_by_recording(given[::-1], 0.1)
    assert {u.id for u in held(split)} == {u.id for u in held(again)} != set()


def test_a_long_recording_is_not_held_out_while_shorter_ones_exist():
    for seed in range(8):
        split = split_by_recording(utterances({f"long{seed}": [15] * 40, "s": [10], "t": [10]}), 0.05)
        assert {u.recording for u in held(split)} <= {"s", "t"} and held(split)


def test_one_or_two_long_recordings_give_their_last_slices_and_say_so():
    split = split_by_recording(utterances({"only": [10] * 20}), 0.1)
    assert [u.start for u in held(split)] == [180_000, 190_000]
    assert "last 2 slice(s) of only" in split.notes[0]
    split = split_by_recording(utterances({"a": [10] * 10, "b": [10] * 10}), 0.05)
    assert len(held(split)) == 1 and split.notes


def test_a_single_slice_stays_in_training():
    split = split_by_recording(utterances({"a": [10]}), 0.05)
    assert not held(split) and "only one slice" in split.notes[0]


def test_every_singer_has_its_own_share_and_zero_means_none():
    both = utterances({f"{i}": [5] for i in range(10)}) + utterances({f"{i}": [5] for i in range(3)}, "bob")
    split = split_by_recording(both, 0.05)
    assert {u.speaker for u in held(split)} == {"ann", "bob"}
    assert not held(split_by_recording(both, 0))
