"""Writes Tests/MetricsTests/Fixtures: figures of the reference implementations on odd and ordinary inputs.

    python make_metrics.py --references DIR

wants scikit-learn, fairlearn, torchmetrics, statsmodels, jsonschema and pycocoevalcap (with Java for its tokenizer). Each fixture
names its reference in `reference`. DIR holds the scripts that are no packages, from GitHub:
- vqaEval.py: GT-Vision-Lab/VQA (a013f00), PythonEvaluationTools/vqaEvaluation/. It is written for Python 2: its print
  statements are turned into calls here and its patterns are compiled for ASCII digits, as Python 2 does.
- squad.py: huggingface/evaluate (a7dd338), metrics/squad/compute_score.py, the official script of SQuAD 1.1.
- metrics.py: google-research/pix2struct (945f27e), pix2struct/metrics.py; only `relaxed_correctness` is read.
- pope.py: AoiDragon/POPE (08d957b), evaluate.py.
- zeroshot_retrieval.py: LAION-AI/CLIP_benchmark (48de38c), clip_benchmark/metrics/; only `recall_at_k` is run.
- donut_util.py: clovaai/donut, donut/util.py; only `JSONParseEvaluator.cal_f1` is run.
- dist.py, score.py: shunk031/ANLS (6472e1d), anls/metrics/.
"""

import argparse
import json
import pathlib
import random
import re
import types

FIXTURES = pathlib.Path(__file__).parent.parent / "MetricsTests" / "Fixtures"


def write(name, content):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=True, indent=None, separators=(",", ":"))
    (FIXTURES / f"{name}.json").write_text(text.replace('},{"', '},\n{"') + "\n")


# VQA v2 -------------------------------------------------------------------------------------------------------------


def official_vqa(path):
    source = pathlib.Path(path).read_text()
    source = re.sub(r'print (".*")', r"print(\1)", source).replace("\t", "    ")
    source = re.sub(r're\.compile\("(.*)"\)', r're.compile(r"\1", re.ASCII)', source)
    module = types.ModuleType("vqaEval")
    exec(compile(source, "vqaEval.py", "exec"), module.__dict__)
    return module.VQAEval


VQA_CASES = [
    # prediction, references (the rest of ten is filled with the last one)
    ("yes", ["yes"]), ("Yes", ["yes"]), ("Yes.", ["yes", "no"]), ("yes", ["yes", "no", "no", "no"]),
    ("yes", ["yes", "yes", "no"]), ("yes", ["yes", "yes", "yes", "no"]), ("yes", ["yes"] * 4 + ["no"]),
    ("a dog", ["dog", "the dog", "cat"]), ("two", ["2", "two", "3"]), ("None", ["0", "none", "1"]),
    ("ten apples", ["10 apples", "an apple"]), ("dont", ["don't", "do not"]), ("isn't", ["isnt", "no"]),
    ("1,000", ["1000", "1,000", "2"]), ("3.5", ["3.5", "3"]), ("10:30.", ["10:30", "11"]),
    ("red, white", ["red white", "red,white", "red"]), ("red,white", ["red white", "red"]),
    ("x-ray", ["x ray", "xray"]), ("x- ray", ["x ray", "xray"]), ("left/right", ["left right", "both"]),
    ("U.S.A.", ["usa", "us"]), ("...", ["", "a"]), ("", ["", "the"]), ("the", ["a", "an"]),
    ("  padded\tout\n", ["padded out", "x"]), ("what?!", ["what", "w"]), ("$5", ["5", "$5"]),
    ("1,2-3", ["123", "12 3", "12-3"]), (". ", [".", ""]), ("a.b", ["ab", "a b"]), ("5.a", ["5a", "5.a"]),
    ("caf\u00e9", ["cafe\u0301", "caf\u00e9", "cafe"]), ("\u00c4PFEL", ["\u00e4pfel", "x"]),
    ("\u039f\u0394\u039f\u03a3", ["\u03bf\u03b4\u03bf\u03c2", "x"]), ("\u0663,\u0664", ["\u0663\u0664", "\u0663 \u0664"]),
    ("no\u00a0dog", ["no dog", "x"]), ("." * 40 + "x", ["." * 8 + "x", "x"]), ("id've", ["I'd've", "i'd've", "Id've"]),
    ("somebodyd", ["somebody'd", "x"]), ("somebody'd", ["somebodyd", "x"]), ("it's", ["its", "it's"]),
    ("ow's'at", ["'ow's'at", "x"]), ("zero-one", ["0 1", "x"]), ("A", ["a", "x"]), ("TEN", ["10", "x"]),
]


def make_vqa(path):
    evaluator = official_vqa(path)
    random.seed(1)
    pool = ["yes", "no", "2", "two", "a cat", "cat", "The cat.", "dont know", "don't know", "red, blue", "red blue",
            "1,000", "1000", "x-ray", "on the left", "left", "left.", "none", "0", "it's 5", "its five"]
    cases = [(p, (refs + refs[-1:] * 10)[:10]) for p, refs in VQA_CASES]
    cases += [(random.choice(pool), [random.choice(pool) for _ in range(10)]) for _ in range(60)]
    cases += [(random.choice(pool), [random.choice(pool[:6]) for _ in range(random.randint(4, 12))]) for _ in range(10)]

    class Answers:
        def __init__(self, qa):
            self.qa = qa

        def getQuesIds(self):
            return list(self.qa)

    truth = Answers({i: {"answers": [{"answer": r, "answer_id": n} for n, r in enumerate(refs)],
                         "question_type": "", "answer_type": ""} for i, (_, refs) in enumerate(cases)})
    said = Answers({i: {"answer": p} for i, (p, _) in enumerate(cases)})
    evaluation = evaluator(truth, said, n=12)
    evaluation.updateProgress = lambda _: None
    evaluation.evaluate()
    normal = lambda text: evaluation.processDigitArticle(evaluation.processPunctuation(text))
    texts = sorted({p for p, _ in cases} | {r for _, refs in cases for r in refs} | set(evaluation.contractions))
    write("vqa", {
        "reference": "vqaEval.py of github.com/GT-Vision-Lab/VQA",
        "overall": evaluation.accuracy["overall"] / 100,
        "normal": [[t, normal(t)] for t in texts],
        "cases": [{"prediction": p, "references": refs, "score": evaluation.evalQA[i] / 100}
                  for i, (p, refs) in enumerate(cases)],
    })


# Texts as a whole ----------------------------------------------------------------------------------------------------


def load(path, cut=None):
    """A script as a module; `cut` picks what of its text is run."""
    source = pathlib.Path(path).read_text()
    module = types.ModuleType(pathlib.Path(path).stem)
    exec(compile(cut(source) if cut else source, str(path), "exec"), module.__dict__)
    return module


MATCH_TEXTS = [
    "", "The cat", "the cat.", "a Cat!", "cat the hat", "the-cat", "theatre", "an apple a day", "an_apple", "it's",
    "its", "caf\u00e9", "cafe\u0301", "STRASSE", "stra\u00dfe", "\u0130stanbul", "istanbul", "\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c2",
    "100", "95", "105", "94.9", "105.1", "95%", "0.95", "1.0", "0", "0.0", "-100", "1e2", "1_00", "1__00", "_1", "inf",
    "-Infinity", "nan", "NaN", "%", "5%%", "0.05", "5 %", "0x10", "16", "\u0661\u0660\u0660", "1,000", "1000", ".5", "5.", "+5",
    "++5", "1e400", "one hundred", "blue car", "blue  car", "bleu car", "red", "rd", "a", "an", "ab", "abcd", "abce",
    "abef", "answer: 5", "12/05/2001", "12/06/2001", "the quick brown fox", "quick fox the brown", "a\u00e0 the",
    "\u2014the\u2014", "the\u00b7cat", "a \u00b2the", "na\u00efve the\u0301",
]


def make_matches(folder):
    squad = load(folder / "squad.py")
    pick = lambda source: "from typing import Optional\n" + source[source.index("def relaxed_correctness"):source.index("def pix2struct_metrics")]
    relaxed = load(folder / "metrics.py", pick)
    dist = load(folder / "dist.py")
    score = load(folder / "score.py", lambda source: source.replace("from anls.metrics.dist import", "#"))
    score.NL = dist.normalized_levenshtein_distance
    random.seed(2)
    cases = [(random.choice(MATCH_TEXTS), random.choices(MATCH_TEXTS, k=random.randint(1, 3))) for _ in range(150)]
    cases += [(MATCH_TEXTS[i], [t]) for i in range(19, 52) for t in random.sample(MATCH_TEXTS[19:52], 5)]
    cases += [(t, [t]) for t in MATCH_TEXTS]
    rows = []
    for said, references in cases:
        rows.append({
            "prediction": said, "references": references,
            "squad_f1": squad.metric_max_over_ground_truths(squad.f1_score, said, references),
            "squad_exact_match": float(squad.metric_max_over_ground_truths(squad.exact_match_score, said, references)),
            "relaxed_accuracy": float(max(relaxed.relaxed_correctness(r, said) for r in references)),
            "anls": score.anls_score(said, references),
        })
    write("matches", {"reference": "SQuAD 1.1; pix2struct relaxed_correctness; shunk031/ANLS", "cases": rows})


POPE_SAID = ["yes", "Yes", "no", "No", "No.", "No, there is not.", "Yes, there is no doubt", "NO", "not", "none", "Nope", "",
             "There is no dog", "There is a dog. No cat", "no,", "I do not see it", "yes. not", "nothing", ",no", "no!"]


def make_pope(folder):
    random.seed(3)
    import contextlib, io, tempfile
    def figures(pairs):
        with tempfile.TemporaryDirectory() as place:
            said, truth = pathlib.Path(place) / "said", pathlib.Path(place) / "truth"
            said.write_text("\n".join(json.dumps({"answer": s}) for s, _ in pairs))
            truth.write_text("\n".join(json.dumps({"label": t}) for _, t in pairs))
            source = (folder / "pope.py").read_text().replace("ans_file = ''", f"ans_file = {str(said)!r}")
            source = source.replace("label_file = ''", f"label_file = {str(truth)!r}")
            scope = {}
            with contextlib.redirect_stdout(io.StringIO()):
                exec(source, scope)
            return {"pope_accuracy": scope["acc"], "pope_precision": scope["precision"], "pope_recall": scope["recall"],
                    "pope_f1": scope["f1"], "pope_yes_ratio": scope["yes_ratio"]}, scope["pred_list"]
    sets = []
    for count in [len(POPE_SAID) * 2, 30, 200]:
        pairs = [(s, t) for s in POPE_SAID for t in ["yes", "no"]] if count == len(POPE_SAID) * 2 else [
            (random.choice(POPE_SAID), random.choice(["yes", "no"])) for _ in range(count)]
        numbers, said = figures(pairs)
        sets.append({"answers": [list(p) for p in pairs], "figures": numbers, "said_yes": said})
    write("pope", {"reference": "evaluate.py of AoiDragon/POPE", "sets": sets})


JSON_TEXTS = ["{}", "[]", "null", "true", "1", "-0", "1.5e3", '"a"', "", " ", "{", "[1,]", "{'a': 1}", '{"a": 1}', '{"a": 1,}', "01", "1.",
              ".5", "+1", "NaN", "Infinity", "nul", '"a', '"\\x"', '"\\u00e9"', '"\t"', '["a" "b"]', "[1] [2]", "```json\n{}\n```",
              '{"a": {"b": [1, 2, {"c": null}]}}', '{"a": 1, "a": 2}', "\ufeff{}", " \n{}\t", "[1, 2] x", "// c\n{}", "123456789012345678901234567890",
              '{"a":1 "b":2}', '{1: 2}', "[[[[[[[[[[]]]]]]]]]]", '"\u00e9\U0001f600"', "\u00a0{}", "True", "tru e"]


def make_json():
    def valid(text):
        def refuse(name):
            raise ValueError(name)
        try:
            json.loads(text, parse_constant=refuse)
            return 1
        except ValueError:
            return 0
    write("json_valid", {"reference": "json.loads of Python, NaN and Infinity refused", "cases": [[t, valid(t)] for t in JSON_TEXTS]})


# Captions ------------------------------------------------------------------------------------------------------------

CAPTION_LINES = r"""A man riding a wave on top of a surfboard.
It's a dog; isn't it? They're "happy", he said.
A 'quoted' word and the dogs' bowls. rock 'n' roll
Two black-and-white x-ray photos and a t-shirt
1,000 people at 3.5 km at 10:30 am. 5'10" tall
$5 \u00a33 \u20ac4 5\u00a2 50% #1 @home a/b and/or 1/2 3 1/2 \u00bd
cannot gonna wanna gotta lemme gimme CANNOT
U.S. flag in the U.S.
Mr. Smith and Dr. Jones Inc. vs. etc.
wait... what \u2026 well -- yes \u2013 no \u2014 so . . . then
(in) [the] {box} <b>bold</b> <a href="x y">link</a> a < b > c << >>
a*b * c ** d ~ ^ ` `` '' \u2019tis \u2018x\u2019 \u201cy\u201d n't 's 'tis 'twas
caf\u00e9 na\u00efve Gr\u00f6\u00dfe \u65e5\u672c\u8a9e \u0434\u0430\u043d\u043d\u044b\u0435 :) :-( <3 ;D =P
http://example.com/a?b=c me@example.com www.google.com foo.org/x
hello!! what?! ok!? a.b.c. e.g. i.e. a.m. p.m.
don\u2019t it\u2019s I'm I'll I'd we've 'em o'clock y'all ma'am
he said,"hi".Then left. end.Start
a_b a-b- -c - -- --- ---- ----- a--b
AT&T R&D &amp; &lt; A&E rock&roll AT&amp;T &quot;x&quot; &apos;s
20th 1980s '80s 1980's 3x4 3-4 555-1234 (555) 123-4567 555 123 4567
12/25/2012 2012-12-25 25-Dec 1-2-34
+1 -5 +5.0 .5 5. 1.2.3 1,2 a,b 10:30.
A man.A dog , cat .
tv. no. 5 No. 5 ave. st. jan. Jan. 5 fig. 3 ca. 1900
\\ | = == === + ++ _ __ ^_^ -_- (^_^)
    spaces   tabs\ttab
d'oh d'Artagnan l'eau O'Brien o'reilly O'Hare D'Angelo
#hashtag @user  C++ c# .net F-16 o.k. ok. f# x#
Ph.D. J.R. J. R. Tolkien a. b. A. B. photo.jpg, x.html y.txt.
the dog's the dogs's its' james' y 's 's-x
...
plan b.
A man
vitamin c.
the letter e.
The end of I. A man
U.S. The flag. U.S. a flag
Jan. A man inc. a man Inc.

 
.
"
'
'a 'ab 'abc "a "1 " a
Dunkin' Donuts somethin' ol' 'til 'till 'cause c'mon li'l s'mores nor'easter
isn't ISN'T isn`t can't CAN'T won't n't. don'ts
John's, MARY'S they'll They'Ve I'M
re-enter pro- anti- pro-life -LRB- x-RRB- co-ed. e-mail: half-eaten, U.S.-made
10-year-old boy's twenty-one 1/2-inch 5x7 4x4, 2-for-1 1st 2nd 3rd. 90's
$1,000.50 US$5 #5 no.5 5% 5.5% -5% \u00b0 90\u00b0 \u00bc cup 2\u00bd \u00b2 x\u00b2 H\u2082O
soft\u00adhyphen a\u00a0b\u3000c \u200bzero \ufeffbom e\u0301
\u00abquoted\u00bb \u2039x\u203a \u201elow\u201c ''double'' ``tick`` `x'
\u00bfqu\u00e9? \u00a1hola! \u3002 \u3001 \uff01
\u2190 \u2192 \u2713 \u2605 \u00a9 \u2122 \u00d7 \u221a
man's. woman's, dog's; "it's" 'it's' (it's)
STOP sign. "STOP" 'STOP' stop! Stop? STOP;
A sign that reads "Main St." and "5th Ave."
A plate of food w/ fork & knife; and/or spoon.
it is 5 o'clock. its 12:00pm 12:00 p.m. 7am
black & white b&w B&W Black&White r'n'b R'n'B
one,two;three:four one, two; three: four
""".encode().decode("unicode_escape").split("\n")

PIECES = ["a", "A", "the", "The", "man", "dog", "dog's", "dogs'", "it's", "isn't", "can't", "cannot", "x-ray", "t-shirt", "1", "2", "10", "1,000",
          "3.5", "10:30", "1/2", "$", "#", "%", "&", "*", "@", "(", ")", "[", "]", "{", "}", "<", ">", "<b>", "</b>", ".", ",", ";", ":", "!", "?",
          "-", "--", "---", "_", "'", '"', "`", "''", "``", "...", "/", "\\", "|", "=", "+", "~", "^", "U.S.", "a.m.", "Mr.", "St.", "Jan.", "Inc.",
          "etc.", "no.", "vs.", "e", "I", "I.", "b.", "O'Brien", "o'clock", "y'all", "'em", "'80s", "80's", "1980s", "n't", "'s", "'ll", "'re", "'d",
          "AT&T", "B&W", "C++", "www.a.com", "a@b.c", "http://a.b/c", "#tag", "@me", "photo.jpg", ":)", ":-(", ";)", "\u2019", "\u2018", "\u201c", "\u201d",
          "\u2013", "\u2014", "\u2026", "\u00e9", "\u00bd", "\u00a3", "\u20ac", "\u00b0", "\u00ad", "\u00a0", "co-ed", "half-eaten", "5th", "555-1234", "pro-"]


def reference_captions(lines):
    """PTBTokenizer of pycocoevalcap, one picture per line."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
    found = PTBTokenizer().tokenize({i: [{"caption": line}] for i, line in enumerate(lines)})
    return [found[i][0] for i in range(len(lines))]


def odd_lines(seed, count):
    source = random.Random(seed)
    lines = []
    for _ in range(count):
        words = [source.choice(PIECES) + (source.choice(PIECES) if source.random() < 0.3 else "") for _ in range(source.randint(1, 9))]
        lines.append("".join(w + (" " if source.random() < 0.8 else "") for w in words))
    return lines


WHO = """man|woman|boy|girl|child|person|couple|group of people|crowd|skateboarder|surfer|baseball player|tennis player|police officer
dog|cat|horse|brown cow|herd of sheep|flock of birds|polar bear|giraffe|baby elephant|little kid|old lady|young man|chef|T-shirt vendor
man's best friend|child's toy|women's team|player|businessman in a three-piece suit|mother and her two-year-old son|officer O'Brien|Dr. Jones
Mr. Smith|Mrs. Brown's class|St. Bernard|U.S. soldier|U.S. Navy sailor|cowboy|firefighter|1950s-era bus driver|bride|groom|10-year-old|ma'am""".replace("\n", "|").split("|")
DOING = """is riding|rides|holding|is holding|stands next to|sitting on|is looking at|looking at|jumps over|walking by|isn't near|doesn't see|can't reach
won't leave|wasn't on|couldn't find|didn't eat|hasn't touched|aren't using|is about to hit|gonna try|wants to, but cannot, use|poses with|they're watching
he's throwing|she's cutting|it's eating|who'll catch|we've seen near|that'd like|I'm leaning on|plays with|is taking a picture of|, holding|- next to|-- near""".replace("\n", "|").split("|")
WHAT = """a wave|a surfboard|a red fire hydrant|a stop sign|a "STOP" sign|a 'do not enter' sign|a sign that reads "Main St."|a sign that says 'it's 5 o'clock'|a T-shirt|an x-ray
a half-eaten sandwich|a black-and-white photo|the dogs' bowls|the dog's bowl|a kid's bike|James' bike|a flat-screen TV|a two-story building|fork & knife|salt/pepper shakers|a bed and/or a couch
a pizza, fries, and a salad|bread; butter; jam|a clock that says 10:30|a clock at 12:05 a.m.|a train at 5 p.m.|a $5 bill|$1,000.50 in cash|50% of a cake|a #5 jersey|the no. 10 bus|the No. 7 train|room 101
3 1/2 cups of flour|1/2 of an apple|a 3.5-inch disk|a 12-inch ruler|1,000 people|10,000 books|two 1/4 slices|the 1st base|5th Ave. at night|the 21st-century tower|a Boeing 747-400|an F-16|a 747 jet
an AT&T store|a B&W photo|M&M's|a McDonald's|a Wendy's sign|Washington D.C. in winter|the U.S. flag|the U.K. coast|Mt. Fuji|Ft. Worth|J. R. Tolkien|John F. Kennedy|the Ph.D. student
vegetables (carrots, peas)|a box [open]|a jack o'lantern|rock 'n' roll posters|a Dr. Pepper can|Smith Jr. and Brown Sr.|a Nike Inc. ad|apples, oranges, etc. in a bowl|cats vs. dogs|a man on the left/right
a car from the '60s|a 1980's phone|80s hair|a 6'2" man|a 5' tall fence|a caf\u00e9|a cr\u00e8me br\u00fbl\u00e9e|a pi\u00f1ata|a jalape\u00f1o|a \u201cfree\u201d sign|a \u2018new\u2019 hat|the man\u2019s hat|a woman \u2013 smiling|a lamp \u2014 on|3D glasses|a 4x4 truck|a PB&J sandwich
a tie-dye shirt|hot-dog buns|a well-dressed guy|a bird's nest|bird feeders|kids' toys|ladies' hats|an on-field umpire|a laptop w/ a mouse|a 7am flight|9:15am traffic|a score of 4-3|a 2-for-1 deal|90\u00b0 heat|a TV, VCR & DVD""".replace("\n", "|").split("|")
WHERE = """|||||| in front of a house| on the street| near the ocean| on top of a hill| in Washington D.C.| at 10:30 a.m.| on Oct. 5| in the kitchen/dining room| at St. Mary's| in the U.S.| by the sea, maybe
 outside of Macy's| in the 1950s| (close-up)| - a close-up| while it's raining| and doesn't fall| on a rainy day| at five o'clock| at 12:00| for 99 cents| with his mother's hat| in New York, NY| near Sixth Ave.| vs. the team from L.A.| , outdoors
 next to plants, etc.| on 12/25/2012| with 20 others| ... or not| ; it is night| : the sequel| before Jan. 1st| with a "thumbs up"| that isn't his| at No. 10""".replace("\n", "|").split("|")
END = ["."] * 10 + ["", "", "", "", " .", "!", "!!", "?", "?!", "...", " ", ". ", "...."]
FIRST = ["A", "A", "A", "A", "The", "The", "Two", "This", "An old", "a", "a", "the", "One", "There is a", "It's a", "Here's the", "That's a", "3", "\"A", "An image of a", "A close up of a", "THE", "Some"]


def ordinary(source):
    """A caption as people write them: hyphens, clitics, numbers, quotes and abbreviations in the middle and at the end."""
    parts = [source.choice(FIRST), " ", source.choice(WHO)]
    kind = source.random()
    if kind < 0.8:
        parts += [" ", source.choice(DOING), " ", source.choice(WHAT)]
    if kind < 0.3:
        parts += [source.choice([" and ", ", ", " with ", " near ", " next to ", "; "]), source.choice(WHAT)]
    parts += [source.choice(WHERE), source.choice(END)]
    if source.random() < 0.08:
        parts += [" ", source.choice(["The", "A", "He's", "It is a", "There are"]), " ", source.choice(WHO), "."]
    text = "".join(parts)
    return text if text.count('"') % 2 == 0 else text + '"'


# What the conventions alone do not tell, or only a long list of words does: brands, heights, titles, states, file names.
HARD = """a sign for Exit 5B|Route 66|the I-95 exit|a Pepsi/Coke machine|Dunkin' Donuts cups|a Krispy Kreme box|a sign saying "No Parking 8:00-5:00"|the letter A|vitamin C|a vest with the letter e|gate no. 12|Hwy. 101|Interstate 5
a man's and a woman's bathroom|a "Happy Birthday, Mom!" cake|a Coca-Cola sign|a Jack-in-the-box|a merry-go-round|a mother-in-law's house|a rock-climbing wall|an iPhone 6|a Mac OS X laptop|a PlayStation 3 game|Wii remotes|an HP printer
peanut-butter-and-jelly|mac n cheese|mac 'n' cheese|surf n' turf|a do-it-yourself kit|a drive-thru|a 3-D puzzle|a Y-shaped tree|a U-turn sign|a V.I.P. tent|an S.U.V.|an RV|a TV/VCR combo|a 7-Eleven|a 24/7 diner|$20.00|a 20% off sign|5 lbs. of meat|2 ft. of snow|a 16oz. drink|10 km/h
a 100m race|30 mph|an 8-year-old girl's cake|the year 2012|the 2012 Olympics|the early 1900's|June 5, 2010|Feb. 14|7:45 P.M.|noon|a ten-speed|J.F.K. airport|LAX|a cat called Mr. Whiskers|Santa Claus' sleigh|Jesus' statue|the boss's desk|the Joneses' yard|someone else's phone
a person (maybe a boy?)|what's left of a pizza|a cat that's asleep|people who've come|I'd say a bird|a sign: "stop"|a cake that says 'Good Luck!'|words like "yes", "no," and "maybe."|red, white & blue flags|black/white tiles|a blue-and-white-striped umbrella|his/her towels|pots/pans|a #2 pencil|the #1 fan
a so-called "art" piece|a pair of size-10 shoes|two-by-fours|a 2x4|an A-frame|an L-shaped sofa|a six-pack|an ex-soldier|non-stick pans|mid-air|a self-portrait|a semi-truck|a tee-shirt|a tu-tu|the Wash. Monument|St. Paul's|St. Louis, Mo.|Ore. coast|Calif. beach|Prof. Plum|Capt. Crunch|Lt. Dan|Gen. Lee|Sgt. Pepper|Gov. Brown
an old-fashioned 'ice cream' cart|a "fat cat"|a fire-truck; a bus|a man--smiling|a dog -- brown|a bus...|a tie.|the sun.|an arm.|a sat. morning|a mill.|a bus no.|a fig.|a can.|a coat w/hood|Tom & Jerry|Ben & Jerry's|H&M|Q&A time|R2-D2|C-3PO|a B-17 bomber|F/A-18 jets|a Boeing 737-800|N.Y.C.|the L.A. Lakers|a UPS truck|a U-Haul|an O.K. sign""".replace("\n", "|").split("|")
NEAR = "stands near|with|is eating|isn't far from|who's holding|next to|, and|can't find|doesn't like|shouldn't touch|hadn't seen|loves|looks at".split("|")


def hard(source):
    text = f"{source.choice(['A man', 'The dog', 'Two women', 'A bus', 'He', 'a child'])} {source.choice(NEAR)} {source.choice(HARD)}"
    text += source.choice(["", *(between + source.choice(HARD) for between in [" near ", " , ", " and "])])
    return (text + source.choice([".", ".", ".", ".", "", "", " .", "!", "?", "..."])).replace(" ,", ",")


def covering(captions, phrases, times):
    """The lines that are needed so that each phrase occurs a few times."""
    counts = dict.fromkeys(phrases, 0)
    for line, caption in captions:
        present = [p for p in phrases if p in line]
        if any(counts[p] < times for p in present):
            yield line, caption
            for p in present:
                counts[p] += 1


NOUNS = ["man", "woman", "dog", "cat", "surfboard", "street", "sign", "T-shirt", "U.S. flag", "x-ray", "kids' toys", "bench"]
VERBS = ["riding", "holding", "looking at", "sitting on", "standing by", "jumping over", "isn't near", "can't see"]
ENDS = [".", "", "!", " .", "...", ", maybe."]


def caption(source):
    words = [source.choice(["A", "The", "Two", "a", "An old"]), source.choice(NOUNS), source.choice(VERBS), source.choice(["a", "the", "the red"]), source.choice(NOUNS)]
    if source.random() < 0.3:
        words += ["in front of", source.choice(["a", "the"]), source.choice(NOUNS)]
    return " ".join(words) + source.choice(ENDS)


def caption_corpus(seed, count, most):
    import contextlib, io
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
    source = random.Random(seed)
    truth, said = {}, {}
    for i in range(count):
        truth[i] = [{"caption": caption(source)} for _ in range(source.randint(1, most))]
        text = caption(source) if source.random() < 0.6 else source.choice(truth[i])["caption"]
        if source.random() < 0.1:
            text = source.choice(["", "...", "a", "dog dog dog dog dog dog", "A\nnew\nline"])
        said[i] = [{"caption": text}]
    if count > 20:
        truth[3] = [{"caption": ""}]
        said[3] = [{"caption": "."}]
        said[4] = [{"caption": " ".join([caption(source) for _ in range(6)])}]
    tokenizer = PTBTokenizer()
    references, captions = tokenizer.tokenize(truth), tokenizer.tokenize(said)
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, bleus = Bleu(4).compute_score(references, captions, verbose=0)
        rouge, rouges = Rouge().compute_score(references, captions)
        cider, ciders = Cider().compute_score(references, captions)
    return {
        "answers": [{"prediction": said[i][0]["caption"], "references": [c["caption"] for c in truth[i]]} for i in range(count)],
        "bleu_1": bleu[0], "bleu_2": bleu[1], "bleu_3": bleu[2], "bleu_4": bleu[3], "rouge_l": float(rouge), "cider": float(cider),
        "each": {"bleu_4": bleus[3], "rouge_l": [float(x) for x in rouges], "cider": [float(x) for x in ciders]},
    }


def make_captions():
    lines = CAPTION_LINES + odd_lines(4, 300)
    corpora = []
    for seed, count, most in [(5, 40, 5), (6, 3, 1), (7, 1, 2), (8, 25, 3)]:
        corpora.append(caption_corpus(seed, count, most))
    write("caption_scores", {"reference": "Bleu, Rouge and Cider of pycocoevalcap 1.2", "corpora": corpora})
    source = random.Random(31)
    ordinary_lines = [ordinary(source) for _ in range(4000)]
    source = random.Random(9)
    hard_lines = [hard(source) for _ in range(3000)]
    phrases = [p.strip() for p in WHO + DOING + WHAT + WHERE]
    write("captions", {
        "reference": "PTBTokenizer of pycocoevalcap 1.2 (Stanford CoreNLP 3.4.1)",
        "ordinary": list(covering(zip(ordinary_lines, reference_captions(ordinary_lines)), phrases, 3)),
        "hard": list(covering(zip(hard_lines, reference_captions(hard_lines)), HARD, 2)),
        "odd": list(zip(lines, reference_captions(lines))),
    })


# Scores of labels ----------------------------------------------------------------------------------------------------


def make_labels():
    import warnings
    import numpy as np
    import torch
    from sklearn import metrics as sk
    from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error
    warnings.simplefilter("ignore")
    source = np.random.default_rng(11)
    single = []
    for count, labels, present in [(60, 3, 3), (40, 2, 2), (25, 5, 4), (1, 2, 1), (30, 4, 4), (8, 3, 3)]:
        raw = source.normal(size=(count, labels)) * 1.5
        truth = source.integers(0, present, size=count)
        raw[np.arange(count), truth] += 0.7
        if labels == 4:  # ties
            raw = np.round(raw)
        rows = np.exp(raw) / np.exp(raw).sum(1, keepdims=True)
        if count == 8:  # certain ones
            rows = np.eye(3)[source.integers(0, 3, size=8)]
        rows = np.array(json.loads(json.dumps(rows.tolist())))
        said = rows.argmax(1)
        if labels == 2:
            area = sk.roc_auc_score(truth, rows[:, 1]) if len(set(truth)) > 1 else float("nan")
        else:
            area = float(np.mean([sk.roc_auc_score(truth == c, rows[:, c]) if 0 < (truth == c).sum() < count else float("nan") for c in range(labels)]))
            if len(set(truth)) == labels and count != 8:
                assert abs(area - sk.roc_auc_score(truth, rows, multi_class="ovr", labels=list(range(labels)))) < 1e-12
        single.append({
            "truth": truth.tolist(), "probabilities": rows.tolist(), "labels": labels,
            "figures": {
                "accuracy": sk.accuracy_score(truth, said), "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
                "macro_f1": sk.f1_score(truth, said, average="macro"), "micro_f1": sk.f1_score(truth, said, average="micro"),
                "auroc": None if np.isnan(area) else area,
                "calibration_error": float(multiclass_calibration_error(torch.tensor(rows), torch.tensor(truth), labels, n_bins=15, norm="l1")),
            }})
    sets = []
    for count, labels in [(30, 4), (6, 2)]:
        truth = source.integers(0, 2, size=(count, labels)).astype(bool)
        rows = np.round(np.clip(truth * 0.3 + source.random((count, labels)) * 0.7, 0, 1), 2)
        said = rows > 0.5
        sets.append({"truth": truth.tolist(), "probabilities": rows.tolist(), "figures": {
            "exact_match": sk.accuracy_score(truth, said), "micro_f1": sk.f1_score(truth, said, average="micro"),
            "macro_f1": sk.f1_score(truth, said, average="macro"), "auroc": sk.roc_auc_score(truth, rows, average="macro")}})
    areas = []
    for count, grain in [(50, 3), (50, 1), (4, 0), (200, 2)]:
        positive = source.integers(0, 2, size=count).astype(bool)
        positive[:2] = [True, False]
        scores = np.round(source.normal(size=count) + positive, grain)
        areas.append({"scores": scores.tolist(), "positive": positive.tolist(), "auroc": sk.roc_auc_score(positive, scores)})
    bins = []
    for count, most in [(200, 15), (50, 10), (7, 3), (100, 1), (300, 15)]:
        confidences = source.random(count) if count != 300 else source.integers(0, 16, size=300) / 15  # on the edges
        right = source.random(count) < confidences ** 1.5
        error = float(binary_calibration_error(torch.tensor(confidences), torch.tensor(right).long(), n_bins=most, norm="l1"))
        bins.append({"confidences": confidences.tolist(), "right": right.tolist(), "bins": most, "error": error})
    write("labels", {"reference": "scikit-learn 1.9, torchmetrics 1.9", "single": single, "sets": sets, "areas": areas, "calibration": bins})


def make_retrieval(folder):
    import numpy as np
    import torch
    pick = lambda source: "import torch\n" + source[source.index("def recall_at_k"):source.index("def batchify")]
    recall = load(folder / "zeroshot_retrieval.py", pick).recall_at_k
    source = np.random.default_rng(12)
    sets = []
    for pictures, each in [(30, [1, 2, 3, 5]), (12, [1]), (20, [2])]:
        owner = [p for p in range(pictures) for _ in range(int(source.choice(each)))]
        source.shuffle(owner)
        scores = source.normal(size=(pictures, len(owner))).astype(np.float32).round(3)
        for text, picture in enumerate(owner):
            scores[picture, text] += 1.3
        assert len(set(scores.ravel().tolist())) > 1
        # Distinct scores, so that the order is one.
        order = scores.ravel().argsort(kind="stable").argsort().reshape(scores.shape).astype(np.float32)
        grid = torch.tensor(order.T)
        pairs = torch.zeros_like(grid, dtype=torch.bool)
        pairs[torch.arange(len(owner)), torch.tensor(owner)] = True
        figures = {}
        for k in [1, 5, 10]:
            figures[f"text_to_image_r{k}"] = float((recall(grid, pairs, k) > 0).double().mean())
            figures[f"image_to_text_r{k}"] = float((recall(grid.T, pairs.T, k) > 0).double().mean())
        sets.append({"similarity": order.astype(int).ravel().tolist(), "pictures": pictures, "owner": [int(o) for o in owner], "figures": figures})
    write("retrieval", {"reference": "recall_at_k of LAION-AI/CLIP_benchmark", "sets": sets})


# Groups and intervals ------------------------------------------------------------------------------------------------


def make_fairness():
    import warnings
    import numpy as np
    import fairlearn.metrics as fair
    warnings.simplefilter("ignore")
    source = np.random.default_rng(13)
    cases = []
    for count, names in [(200, ["a", "b"]), (60, ["a", "b", "c", "d"]), (12, ["x", "y", "z"]), (5, ["only"]), (9, ["p", "q"])]:
        group = source.choice(names, size=count)
        truth = source.random(count) < 0.4
        said = source.random(count) < np.where(group == names[0], 0.6, 0.3) + 0.2 * truth
        if count == 9:
            truth[group == "q"] = False  # a group in which nothing holds
        by = lambda metric: {str(k): float(v) for k, v in fair.MetricFrame(metrics=metric, y_true=truth, y_pred=said, sensitive_features=group).by_group.items()}
        cases.append({
            "truth": truth.tolist(), "said": said.tolist(), "groups": group.tolist(),
            "demographic_parity_difference": float(fair.demographic_parity_difference(truth, said, sensitive_features=group)),
            "demographic_parity_ratio": float(fair.demographic_parity_ratio(truth, said, sensitive_features=group)),
            "equalized_odds_difference": float(fair.equalized_odds_difference(truth, said, sensitive_features=group)),
            "equal_opportunity_difference": float(fair.equal_opportunity_difference(truth, said, sensitive_features=group)),
            "selection_rate": by(fair.selection_rate), "true_positive_rate": by(fair.true_positive_rate), "false_positive_rate": by(fair.false_positive_rate),
        })
    write("fairness", {"reference": "fairlearn 0.15", "cases": cases})


def make_intervals():
    import numpy as np
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
    wilson = [[k, n, *map(float, proportion_confint(k, n, method="wilson"))] for k, n in [(0, 1), (1, 1), (0, 20), (20, 20), (1, 3), (7, 10), (50, 100), (999, 1000), (3, 100000)]]
    newcombe = [[a, n, b, m, *map(float, confint_proportions_2indep(a, n, b, m, method="newcomb"))] for a, n, b, m in [(56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (5, 56, 0, 29), (1, 2, 1, 2)]]
    source = np.random.default_rng(14)
    quantiles = []
    for values in [[1.0], [1.0, 2.0], sorted(source.normal(size=10).tolist()), [0.0, 0.0, 1.0, 1.0]]:
        for q in [0.0, 0.025, 0.3, 0.5, 0.975, 1.0]:
            quantiles.append([values, q, float(np.quantile(values, q))])
    from scipy.stats import binomtest
    signs = [[a, b, float(binomtest(a, a + b).pvalue)] for a, b in [(10, 2), (0, 1), (5, 5), (0, 12), (300, 340), (1, 3)]]
    write("intervals", {"reference": "statsmodels 0.15 (wilson, newcomb); numpy.quantile; scipy binomtest", "signs": signs, "wilson": wilson, "newcombe": newcombe, "quantiles": quantiles})


# Drift ---------------------------------------------------------------------------------------------------------------


def make_drift():
    import numpy as np
    import torch
    from scipy.spatial.distance import jensenshannon, pdist
    from scipy.stats import entropy
    from sklearn.metrics.pairwise import rbf_kernel
    from torchmetrics.image.fid import _compute_fid
    source = np.random.default_rng(15)
    embeddings = []
    for n, m, width, shift in [(40, 30, 6, 0.5), (5, 9, 8, 1.0), (20, 20, 1, 0.2), (12, 12, 3, 0.0), (30, 25, 4, 5.0)]:
        x = source.normal(size=(n, width)).astype(np.float32).round(2)
        y = (source.normal(size=(m, width)) * 1.3 + shift).astype(np.float32).round(2)
        if shift == 0.0:
            y = x[::-1].copy()
        a, b = x.astype(np.float64), y.astype(np.float64)
        cov = lambda z: torch.tensor(np.atleast_2d(np.cov(z, rowvar=False)))
        frechet = float(_compute_fid(torch.tensor(a.mean(0)), cov(a), torch.tensor(b.mean(0)), cov(b)))
        sigma = float(np.median(pdist(np.concatenate([a, b]))))
        gamma = 1 / (2 * sigma ** 2)
        kxx, kyy, kxy = rbf_kernel(a, a, gamma), rbf_kernel(b, b, gamma), rbf_kernel(a, b, gamma)
        mmd = (kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (m * (m - 1)) - 2 * kxy.mean()
        u, v = a.mean(0), b.mean(0)
        embeddings.append({"first": [float(str(t)) for t in x.ravel()], "second": [float(str(t)) for t in y.ravel()], "width": width, "frechet_distance": frechet, "mmd": float(mmd),
                           "mmd_bandwidth": sigma, "cosine_of_means": float(u @ v / np.linalg.norm(u) / np.linalg.norm(v))})
    matrices = []
    for rows, columns in [(5, 5), (7, 3), (3, 7), (1, 1), (6, 6), (8, 8), (12, 12)]:
        matrix = source.normal(size=(rows, columns))
        if rows == 6:
            matrix = np.outer(matrix[:, 0], matrix[0])  # of rank 1
        if rows == 8:
            matrix = np.diag([1e6, 1, 1e-6, 0, 0, 3, 3, 3])
        matrices.append({"rows": rows, "columns": columns, "values": matrix.ravel().tolist(), "singular": np.linalg.svd(matrix, compute_uv=False).tolist()})
    answers = []
    for first, second in [(["yes"] * 6 + ["no"] * 2, ["yes"] * 3 + ["no"] * 5), (["a", "b", "c"], ["d", "e", "f"]), (["a", "a"], ["a", "a"]), (["x", "y", "x", "z", "x"], ["x", "x", "y", "z", "w"])]:
        words = sorted(set(first + second))
        p, q = [np.array([t.count(w) for w in words], float) for t in (first, second)]
        answers.append({"first": first, "second": second, "answer_kl": float(entropy((p + 0.5) / (p + 0.5).sum(), (q + 0.5) / (q + 0.5).sum())),
                        "answer_total_variation": float(np.abs(p / p.sum() - q / q.sum()).sum() / 2), "answer_js": float(jensenshannon(p, q) ** 2),
                        "disagreement": float(np.mean([a != b for a, b in zip(first, second)]))})
    write("drift", {"reference": "torchmetrics 1.9 _compute_fid; scikit-learn rbf_kernel in lemma 6 of Gretton et al. 2012; scipy entropy and jensenshannon; numpy svd",
                    "embeddings": embeddings, "matrices": matrices, "answers": answers})


# JSON Schema ---------------------------------------------------------------------------------------------------------

SCHEMAS = [
    True, False, {}, {"type": "object"}, {"type": ["string", "null"]}, {"type": "integer"}, {"type": "number", "minimum": 0, "maximum": 10},
    {"exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"enum": ["a", 1, None, [1], {"b": 2}]}, {"const": 1}, {"const": {"a": [1.0]}}, {"enum": []},
    {"type": "string", "minLength": 2, "maxLength": 4}, {"pattern": "^[a-z]+$"}, {"pattern": "b"}, {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}, {"items": False}, {"items": {"anyOf": [{"type": "string"}, {"minimum": 5}]}},
    {"type": "object", "properties": {"finding": {"type": "string"}, "size": {"type": "number", "minimum": 0}}, "required": ["finding"], "additionalProperties": False},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}}, {"required": ["a", "b"]},
    {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "array"}]}, {"anyOf": []} if False else {"anyOf": [False]},
    {"$ref": "#/$defs/size", "$defs": {"size": {"type": "integer", "minimum": 2}}}, {"$ref": "#/$defs/size", "maximum": 3, "$defs": {"size": {"type": "integer", "minimum": 2}}},
    {"type": "object", "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#"}}}, "required": ["value"]},
    {"definitions": {"a/b": {"type": "string"}, "c~d": {"type": "null"}}, "anyOf": [{"$ref": "#/definitions/a~1b"}, {"$ref": "#/definitions/c~0d"}]},
]
INSTANCES = [
    None, True, False, 0, 1, 1.0, 0.5, 5, 10, 10.5, -1, 2, 3, 1e300, "", "a", "ab", "abcde", "AB", "2024-01-31", "2024-1-31", "\u00e9\u00e9", "\U0001f600", [], [1], [1, 2, 3, 4],
    [1, "x"], [1.0], ["x"], [7], {}, {"a": 1}, {"a": "x"}, {"a": 1, "b": 2}, {"b": 2}, {"b": 2.0}, {"a": [1]}, {"a": [1.0]}, {"finding": "x"}, {"finding": "x", "size": -1}, {"finding": "x", "size": 2},
    {"finding": "x", "more": 1}, {"finding": 1}, {"value": 1, "children": [{"value": 2, "children": []}]}, {"value": 1, "children": [{"value": "2"}]}, {"value": 1, "children": [{"value": 2, "children": [{}]}]},
]


def make_schema():
    from jsonschema import Draft202012Validator
    cases = []
    for schema in SCHEMAS:
        validator = Draft202012Validator(schema)
        cases.append({"schema": schema, "right": [int(validator.is_valid(i)) for i in INSTANCES]})
    write("json_schema", {"reference": "jsonschema 4.26, draft 2020-12", "instances": [json.dumps(i) for i in INSTANCES], "cases": cases})


# Fields of reports ---------------------------------------------------------------------------------------------------


def make_json_fields(path):
    """Reports whose values are texts: there Donut's normal form, which turns values into texts, changes nothing."""
    import ast
    tree = ast.parse(pathlib.Path(path).read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "JSONParseEvaluator"]
    for node in tree.body[0].body:  # the costs of trees take types of a package that is not needed here
        if isinstance(node, ast.FunctionDef):
            for argument in node.args.args:
                argument.annotation = None
    scope = {}
    exec(compile(tree, "donut_util.py", "exec"), scope)
    evaluator = scope["JSONParseEvaluator"]()
    source = random.Random(16)
    words = ["naevus", "melanoma", "left", "right", "3 mm", "\u00e9", "arm"]

    def report(depth=0):
        result = {}
        for name in source.sample(["finding", "side", "size", "sites", "notes", "more"], source.randint(1, 4)):
            kind = source.random()
            if kind < 0.6 or depth == 2:
                result[name] = source.choice(words)
            elif kind < 0.8:
                result[name] = [source.choice(words) for _ in range(source.randint(1, 3))]
            else:
                result[name] = [report(depth + 1) for _ in range(source.randint(1, 2))] if kind < 0.9 else report(depth + 1)
        return result

    def changed(value):
        if isinstance(value, list) and isinstance(value[0], str):
            return [v if source.random() < 0.8 else source.choice(words) for v in reversed(value)]
        if source.random() < 0.1:
            return report(1)
        if isinstance(value, dict):
            return {k: changed(v) for k, v in value.items() if source.random() < 0.9} or report(1)
        if isinstance(value, list):
            return [changed(v) for v in reversed(value)]
        return value if source.random() < 0.8 else source.choice(words)

    cases = []
    for _ in range(12):
        answers = [report() for _ in range(source.randint(1, 6))]
        predictions = [changed(a) if source.random() < 0.9 else a for a in answers]
        predictions = [p if isinstance(p, dict) else {"finding": "x"} for p in predictions]
        cases.append({"predictions": [json.dumps(p) for p in predictions], "references": [json.dumps(a) for a in answers], "f1": evaluator.cal_f1(predictions, answers)})
    write("json_fields", {"reference": "donut/util.py of clovaai/donut (4cfcf97)", "cases": cases})


PATTERNS = ["abc", "a|b", "a*", "^a+$", "(ab)+c", "(?:ab|c)*$", "[a-c]{2}", "[^a-c]", "a{2,3}b", "a{2,}", "^$", "", ".", "a.c", r"\d+", r"\w\s\w", r"[\d-]", r"\.", r"^[A-Z][a-z]*( [A-Z][a-z]*)*$",
            "(a|b)*abb", "(a*)*b", "x?y?z?$", "^(a|ab)(c|bcd)$", r"\x41|\u0062", r"[\]a]", "a{0}b", "(?P<n>a)b".replace("?P", "?"), r"\S+@\S+\.[a-z]{2,}", "(a+)+$", "^(?:(?:a?){5}a{5})$"]
PATTERN_TEXTS = ["", "a", "b", "c", "abc", "ab", "abab", "ababc", "aab", "aaab", "aaa", "aaaa", "aaaaa", "aaaaaaaaaa", "abb", "babb", "12", "a b", "a-b", "a.c", "a\nc", "New York", "new York", "New  York", "abcd", "acd", "A", "]", "x.y@z.de", "yz", "zyx",
                 "\u00e9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab"]


def make_patterns():
    cases = []
    for pattern in PATTERNS:
        compiled = re.compile(pattern.replace("(?<n>", "(?P<n>").replace("$", r"\Z") if True else pattern, re.ASCII)
        cases.append({"pattern": pattern, "found": [int(bool(compiled.search(t))) for t in PATTERN_TEXTS]})
    write("patterns", {"reference": "re of Python, ASCII, $ as the end of the text", "texts": PATTERN_TEXTS, "cases": cases})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--references", required=True, type=pathlib.Path)
    folder = parser.parse_args().references
    make_vqa(folder / "vqaEval.py")
    make_matches(folder)
    make_pope(folder)
    make_json()
    make_captions()
    make_labels()
    make_retrieval(folder)
    make_fairness()
    make_intervals()
    make_drift()
    make_schema()
    make_json_fields(folder / "donut_util.py")
    make_patterns()
