"""The songs: tunes and words in the public domain. Chords: an item per bar, `|` between, `C:G` is half and half."""

from __future__ import annotations

from demo_songs.score import Phrase, Song

AMAZING_GRACE = Song(
    name="amazing_grace",
    singer="aria",
    title="Amazing Grace",
    origin="words John Newton (1779), tune New Britain (1829): public domain",
    beats_per_bar=3,
    beat_seconds=0.6,
    shift_semitones=-5,
    intro_bars=2,
    pickup_beats=1,
    phrases=(
        Phrase(
            "Amazing grace, how sweet the sound",
            "ə-mˈA-zɪŋ ɡɹˈAs hˌW swˈit ðə sˈWnd",
            "D4/1 G4/2 B4/.5+G4/.5 B4/2 A4/1 G4/2 E4/1 D4/2",
        ),
        Phrase("that saved a wretch like me", "ðæt sˈAvd ə ɹˈɛʧ lˈIk mˈi", "D4/1 G4/2 B4/.5+G4/.5 B4/2 A4/1 D5/5"),
        Phrase(
            "I once was lost, but now am found",
            "I wˈʌns wʌz lˈɔst bʌt nˈW æm fˈWnd",
            "B4/1 D5/2 B4/.5+G4/.5 B4/2 A4/1 G4/2 E4/1 D4/2",
        ),
        Phrase("was blind, but now I see", "wʌz blˈInd bʌt nˈW I sˈi", "D4/1 G4/2 B4/.5+G4/.5 B4/2 A4/1 G4/5"),
        Phrase(
            "'Twas grace that taught my heart to fear",
            "twʌz ɡɹˈAs ðæt tˈɔt mI hˈɑɹt tə fˈɪɹ",
            "D4/1 G4/2 B4/.5+G4/.5 B4/2 A4/1 G4/2 E4/1 D4/2",
        ),
        Phrase(
            "and grace my fears relieved",
            "ænd ɡɹˈAs mI fˈɪɹz ɹə-lˈivd",
            "D4/1 G4/2 B4/.5+G4/.5 B4/2 A4/1 D5/5",
        ),
        Phrase(
            "How precious did that grace appear",
            "hˌW pɹˈɛ-ʃəs dˈɪd ðæt ɡɹˈAs ə-pˈɪɹ",
            "B4/1 D5/2 B4/.5+G4/.5 B4/2 A4/1 G4/2 E4/1 D4/2",
        ),
        Phrase(
            "the hour I first believed",
            "ði ˈWɹ I fˈɜɹst bə-lˈivd",
            "D4/1 G4/2 B4/.5+G4/.5 B4/2 A4/1 G4/5",
        ),
    ),
    chords="G|G|" + "G|G|C|G|G|Em|D|D|G|G|C|G|Em|D|G|G|" * 2 + "G",
    style="hymn",
)

_PARSLEY = Phrase(
    "parsley, sage, rosemary and thyme",
    "pˈɑɹ-sli sˈAʤ ɹˈOz-mɛ-ɹi ænd tˈIm",
    "r/1 A4/1 C5/1 D5/2 C5/1 A4/1 B4/1 G4/1 A4/4",
)
_TRUE_LOVE = "D4/1 A4/1 G4/1 F4/1 E4/1 D4/1 C4/1 D4/4"

SCARBOROUGH_FAIR = Song(
    name="scarborough_fair",
    singer="aria",
    title="Scarborough Fair",
    origin="traditional English ballad: public domain",
    beats_per_bar=3,
    beat_seconds=0.5,
    shift_semitones=-5,
    intro_bars=2,
    pickup_beats=0,
    phrases=(
        Phrase(
            "Are you going to Scarborough Fair?",
            "ɑɹ ju ɡˈO-ɪŋ tə skˈɑɹ-bə-ɹO fˈɛɹ",
            "D4/2 D4/1 A4/1 A4/1 A4/1 E4/1.5 F4/.5 E4/1 D4/3",
        ),
        _PARSLEY,
        Phrase(
            "Remember me to one who lives there",
            "ɹə-mˈɛm-bəɹ mˈi tə wˈʌn hu lˈɪvz ðˈɛɹ",
            "r/1 D5/1 D5/2 D5/1 C5/2 A4/1 A4/1 G4/1 F4/1 E4/1+C4/2",
        ),
        Phrase("she once was a true love of mine", "ʃi wˈʌns wʌz ə tɹˈu lˈʌv ʌv mˈIn", "r/2 " + _TRUE_LOVE),
        Phrase(
            "Tell her to make me a cambric shirt",
            "tˈɛl hɜɹ tə mˈAk mi ə kˈAm-bɹɪk ʃˈɜɹt",
            "r/2 D4/1 D4/1 D4/1 A4/1 A4/1 A4/1 E4/1.5 F4/.5+E4/1 D4/3",
        ),
        _PARSLEY,
        Phrase(
            "without no seams nor needlework",
            "wɪð-ˈWt nO sˈimz nɔɹ nˈi-dəl-wˌɜɹk",
            "r/1 D5/1 D5/2 D5/1 C5/2 A4/1 A4/1+G4/1 F4/1 E4/1+C4/2",
        ),
        Phrase("then she'll be a true love of mine", "ðˈɛn ʃil bi ə tɹˈu lˈʌv ʌv mˈIn", "r/2 " + _TRUE_LOVE),
    ),
    chords="Dm|Dm|" + "Dm|Dm|C|Dm|F|Dm|G|Dm|Dm|Dm|F|F|C|Dm|Dm|C|Dm|Dm|" * 2 + "Dm",
    style="ballad",
)

_AULD_LAST = "F4/1.5+D4/.5 D4/1+C4/1 F4/3"
_CUP = Phrase(
    "we'll take a cup of kindness yet, for auld lang syne",
    "wil tˈAk ə kˈʌp ʌv kˈInd-nəs jˈɛt fɔɹ ˈOld lˈæŋ zˈIn",
    "D5/1 C5/1.5 A4/.5 A4/1 F4/1 G4/1.5 F4/.5 G4/1 A4/1 " + _AULD_LAST,
)

AULD_LANG_SYNE = Song(
    name="auld_lang_syne",
    singer="aria",
    title="Auld Lang Syne",
    origin="words Robert Burns (1788), traditional tune (1799): public domain",
    beats_per_bar=4,
    beat_seconds=0.6,
    shift_semitones=-3,
    intro_bars=2,
    pickup_beats=1,
    phrases=(
        Phrase(
            "Should auld acquaintance be forgot, and never brought to mind?",
            "ʃʊd ˈOld ə-kwˈAn-təns bi fəɹ-ɡˈɑt ænd nˈɛ-vəɹ bɹˈɔt tə mˈInd",
            "C4/1 F4/1.5 F4/.5 F4/1 A4/1 G4/1.5 F4/.5 G4/1 A4/1 F4/1.5 F4/.5 A4/1 C5/1 D5/3",
        ),
        Phrase(
            "Should auld acquaintance be forgot, and days of auld lang syne?",
            "ʃʊd ˈOld ə-kwˈAn-təns bi fəɹ-ɡˈɑt ænd dˈAz ʌv ˈOld lˈæŋ zˈIn",
            "D5/1 C5/1.5 A4/.5 A4/1 F4/1 G4/1.5 F4/.5 G4/1 A4/1 F4/1.5 D4/.5 D4/1 C4/1 F4/3",
        ),
        Phrase(
            "For auld lang syne, my dear, for auld lang syne",
            "fɔɹ ˈOld lˈæŋ zˈIn mI dˈɪɹ fɔɹ ˈOld lˈæŋ zˈIn",
            "D5/1 C5/1.5+A4/.5 A4/1+F4/1 G4/1.5 F4/.5 G4/1 D5/1 C5/1.5+A4/.5 A4/1+C5/1 D5/3",
        ),
        _CUP,
        Phrase(
            "And there's a hand, my trusty friend, and give a hand of thine",
            "ænd ðɛɹz ə hˈænd mI tɹˈʌs-ti fɹˈɛnd ænd ɡˈɪv ə hˈænd ʌv ðˈIn",
            "C4/1 F4/1.5 F4/.5 F4/1 A4/1 G4/1.5 F4/.5 G4/1 A4/1 F4/1.5 F4/.5 A4/1 C5/1 D5/3",
        ),
        _CUP,
    ),
    chords="F|F|" + "F|C|F|Bb|F|C|Bb:C|F|" * 3 + "F",
    style="band",
)

_JOY_A = "F#4/1 F#4/1 G4/1 A4/1 A4/1 G4/1 F#4/1 E4/1 D4/1 D4/1 E4/1 F#4/1 "

ODE_TO_JOY = Song(
    name="ode_to_joy",
    singer="aria",
    title="Joyful, Joyful (Ode to Joy)",
    origin="words Henry van Dyke (1907), tune Ludwig van Beethoven (1824): public domain",
    beats_per_bar=4,
    beat_seconds=0.5,
    shift_semitones=1,
    intro_bars=2,
    pickup_beats=0,
    phrases=(
        Phrase(
            "Joyful, joyful, we adore thee, god of glory, lord of love",
            "ʤˈY-fəl ʤˈY-fəl wˌi ə-dˈɔɹ ðˌi ɡˈɑd ʌv ɡlˈɔ-ɹi lˈɔɹd ʌv lˈʌv",
            _JOY_A + "F#4/1.5 E4/.5 E4/2",
        ),
        Phrase(
            "Hearts unfold like flowers before thee, opening to the sun above",
            "hˈɑɹts ʌn-fˈOld lˌIk flˈWɹz bə-fˈɔɹ ðˌi ˈOp-nɪŋ tu ðə sˈʌn ə-bˈʌv",
            _JOY_A + "E4/1.5 D4/.5 D4/2",
        ),
        Phrase(
            "Melt the clouds of sin and sadness, drive the dark of doubt away",
            "mˈɛlt ðə klˈWdz ʌv sˈɪn ænd sˈæd-nəs dɹˈIv ðə dˈɑɹk ʌv dˈWt ə-wˈA",
            "E4/1 E4/1 F#4/1 D4/1 E4/1 F#4/.5+G4/.5 F#4/1 D4/1 E4/1 F#4/.5+G4/.5 F#4/1 E4/1 D4/1 E4/1 A3/2",
        ),
        Phrase(
            "Giver of immortal gladness, fill us with the light of day",
            "ɡˈɪ-vəɹ ʌv ɪ-mˈɔɹ-təl ɡlˈæd-nəs fˈɪl ˌʌs wɪð ðə lˈIt ʌv dˈA",
            _JOY_A + "E4/1.5 D4/.5 D4/2",
        ),
    ),
    chords="D|A|" + "D|D:A|D|A|D|D:A|D|A:D|A:D|A:D|A:D|E:A|D|D:A|D|A:D|" + "D",
    style="band",
)

RED_RIVER_VALLEY = Song(
    name="red_river_valley",
    singer="bram",
    title="Red River Valley",
    origin="traditional North American song (before 1896): public domain",
    beats_per_bar=4,
    beat_seconds=0.5,
    shift_semitones=0,
    intro_bars=2,
    pickup_beats=2,
    phrases=(
        Phrase(
            "From this valley they say you are going",
            "fɹʌm ðɪs vˈæ-li ðˌA sˈA ju ɑɹ ɡˈO-ɪŋ",
            "D3/1 G3/1 B3/2 B3/1 A3/1 G3/2 A3/1 G3/1 E3/2 G3/3",
        ),
        Phrase(
            "we will miss your bright eyes and sweet smile",
            "wi wɪl mˈɪs jɔɹ bɹˈIt ˈIz ænd swˈit smˈIl",
            "r/1 D3/1 G3/1 B3/2 G3/1 B3/1 D4/2 C4/1 B3/1 A3/5",
        ),
        Phrase(
            "For they say you are taking the sunshine",
            "fɔɹ ðˌA sˈA ju ɑɹ tˈA-kɪŋ ðə sˈʌn-ʃIn",
            "r/1 D4/1 C4/1 B3/2 B3/1 A3/1 G3/2 A3/1 B3/1 D4/2 C4/3",
        ),
        Phrase(
            "that has brightened our pathway a while",
            "ðæt hæz bɹˈI-tənd ˌWɹ pˈæθ-wˌA ə wˈIl",
            "r/1 E3/1 E3/1 D3/2 F#3/1 G3/1 A3/2 B3/1 A3/1 G3/4",
        ),
    ),
    chords="G|G|" + "G|G:D|Em|G|G|G:D|D|D|G|G|G:C|C|D|D|G|G",
    style="country",
    convert_transpose_semitones=7,
)

SONGS = (AMAZING_GRACE, SCARBOROUGH_FAIR, AULD_LANG_SYNE, ODE_TO_JOY, RED_RIVER_VALLEY)
