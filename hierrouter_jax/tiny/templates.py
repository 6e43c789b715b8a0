"""Surface templates of the tiny tasks: eight a kind of problem, the last two of each only in the test split."""

NUM_TEST_ONLY = 2

NAMES = ("Ann", "Ben", "Cara", "Dan", "Eva", "Finn", "Gina", "Hugo", "Iris", "Jon", "Kim", "Leo")
ITEMS = ("apples", "books", "cards", "coins", "eggs", "hats", "keys", "pens", "plums", "shells", "stamps", "toys")

EXPRESSION = (
    "Compute {e}.",
    "Evaluate {e}.",
    "What is {e}?",
    "Find the result of {e}.",
    "Calculate {e}.",
    "Here is a sum: {e}.",
    "Work out {e}.",
    "How much is {e}?",
)

NUMBER = (
    "Here is a number: {n}.",
    "Take the number {n}.",
    "The number is {n}.",
    "Look at {n}.",
    "My number is {n}.",
    "You are given {n}.",
    "Consider the number {n}.",
    "The display shows {n}.",
)

FACT = (
    "What is the code of {k}?",
    "Tell me the code of {k}.",
    "Recall the code for {k}.",
    "Which code belongs to {k}?",
    "Look up the code of {k}.",
    "I forgot the code of {k}.",
    "Do you know the code of {k}?",
    "The code of {k}, please.",
)

ADD = (
    "{x} has {a} {i} and buys {b} more. How many {i} does {x} have?",
    "{x} picks {a} {i} and then {b} more {i}. How many in all?",
    "There are {a} {i} on a shelf and {b} in a box. How many {i} are there?",
    "A shop sold {a} {i} on Monday and {b} on Tuesday. How many {i} did it sell?",
    "{x} had {a} {i}. {y} gave {x} {b} more. How many {i} now?",
    "A bag holds {a} {i}; {x} adds {b}. How many {i} are in the bag?",
    "{x} found {a} {i} and {y} found {b}. How many {i} did they find together?",
    "To {a} {i} on the table {x} puts {b} more. How many {i} lie there?",
)

SUBTRACT = (
    "{x} has {a} {i} and loses {b}. How many {i} does {x} have left?",
    "{x} had {a} {i} and gave {b} to {y}. How many {i} are left?",
    "There were {a} {i} in a box and {x} took {b}. How many {i} remain?",
    "A shop had {a} {i} and sold {b}. How many {i} are still there?",
    "Of {a} {i}, {b} are broken. How many {i} are whole?",
    "{x} has {a} {i}; {y} has {b} fewer. How many {i} does {y} have?",
    "{x} carried {a} {i} but dropped {b}. How many {i} did {x} keep?",
    "From {a} {i} on the table {x} removes {b}. How many {i} lie there?",
)

MULTIPLY = (
    "{x} has {a} bags with {b} {i} each. How many {i} does {x} have?",
    "There are {a} boxes of {b} {i}. How many {i} are there?",
    "{x} fills {a} shelves with {b} {i} each. How many {i} is that?",
    "A shop sells {b} {i} a day for {a} days. How many {i} does it sell?",
    "{a} friends bring {b} {i} each. How many {i} do they bring?",
    "{x} lays {a} rows of {b} {i}. How many {i} lie there?",
    "In each of {a} drawers {x} finds {b} {i}. How many {i} in total?",
    "{x} gets {b} {i} a week. How many {i} after {a} weeks?",
)

# {s} is a start, `12 coins` or `3 bags of 4 coins`; {c} one or two changes, `buys 7 more and then loses 5`.
TWO_STEP = (
    "{x} has {s}, {c}. How many {i} now?",
    "{x} starts with {s}. Then {x} {c}. How many {i} are there?",
    "First {x} has {s}. Later {x} {c}. How many {i} at the end?",
    "{x} owns {s} and {c}. How many {i} does {x} have?",
    "On Monday {x} has {s}. On Tuesday {x} {c}. How many {i} now?",
    "With {s} in hand {x} {c}. How many {i} are in hand?",
    "{x} brings {s} to school, {c}. How many {i} come home?",
    "There {x} stands with {s}. Soon {x} {c}. How many {i} then?",
)
GAINS = ("buys {b} more", "finds {b} more", "gets {b} from {y}")
LOSSES = ("loses {b}", "gives {b} to {y}", "sells {b}")

# What is wanted, said in words; {p} is the problem. All phrasings occur in every split.
WANTED = {
    "value": (
        "{p} Answer with a number.",
        "{p} Give the value in digits.",
        "{p} Reply with digits only.",
        "{p} I want the plain number.",
        "In digits: {p}",
        "Reply with a number. {p}",
    ),
    "words": (
        "{p} Answer in words.",
        "{p} Spell the answer out.",
        "{p} Write the answer in English words.",
        "{p} Use letters only.",
        "In words: {p}",
        "Spell your reply in words. {p}",
    ),
    "expression": (
        "{p} Answer with the expression only.",
        "{p} Write it as a formula.",
        "{p} Do not compute, give the expression.",
        "{p} Show the formula, not the result.",
        "As an expression: {p}",
        "Give just the formula. {p}",
    ),
}
