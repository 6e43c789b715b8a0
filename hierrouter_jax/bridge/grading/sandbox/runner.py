"""The program inside the sandbox: it forks, one process runs the response's program, the other one its tests.

Its text and that of `wire.py` are given to a bare Python (3.10 or newer, standard library only). On
standard input come two frames: the program with its limits, then the tests. The *program's process* is forked before
the second frame is read, and holds neither the tests nor the way out; the *tests' process* calls the program's
functions through two pipes and gets back plain values, which it builds itself. Its one line on standard output is the
verdict: `1` or `0`, a space, and the reason.
"""
# Annotations would need `typing`, which takes longer to import than a short program to run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
# pyright: reportCallIssue=false, reportOptionalMemberAccess=false, reportReturnType=false

import _ctypes
import _operator
import builtins
import os
import resource
import sys

from hierrouter_jax.bridge.grading.sandbox.wire import Reader, pack, read_frame, sized, write_frame

PR_SET_DUMPABLE = 4
# What is asked of one of the program's objects by a function that takes it, by its name here.
UNARY = {"bool": bool, "hash": hash, "int": int, "float": float, "str": str, "repr": repr, "iter": iter, "len": len}
UNARY |= {name: getattr(_operator, name) for name in ("neg", "pos", "abs", "invert", "index")}
BINARY = ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
BINARY += ("and_", "or_", "xor", "lshift", "rshift")
BINARY = {name: getattr(_operator, name) for name in BINARY}
Module, Code = type(sys), type((lambda: None).__code__)  # importing types would cost time in every run


# ---------------------------------------------------------------- the program's process


def run_program(source, requests, replies):
    """Run the program, then do what is asked of its objects, until there is nobody to ask."""
    objects, numbers = [], {}

    def export(value):
        """One handle for one object, so that the tests see which are the same; kept, so that no other gets its id."""
        if isinstance(value, Module):
            return sized(b"m", value.__name__.encode())
        if id(value) not in numbers:
            numbers[id(value)] = len(objects)
            objects.append(value)
        return sized(b"h", f"{numbers[id(value)]} {type(value).__name__}".encode())

    def known(_, text):
        return objects[int(text.partition(" ")[0])]

    def answer(work, /, *args, **kwargs):
        try:
            reply = b"=" + pack(work(*args, **kwargs), export)
        except BaseException as error:
            reply = b"!" + pack((type(error).__name__, str(error)[:300]), export)
        write_frame(replies, reply)

    def run():
        exec(compile(source, "<program>", "exec", dont_inherit=True), module.__dict__)

    def named(names):
        return {name: vars(module)[name] for name in names if name in vars(module)}

    module = Module("program")  # registered: dataclasses look their module up
    sys.modules["program"] = module
    answer(run)
    while True:
        act, target, *rest = Reader(read_frame(requests), known).value()
        if act == "names":
            answer(named, target)
        elif act == "call":
            answer(target, *rest[0], **rest[1])
        elif act == "get":
            answer(getattr, target, rest[0])
        elif act == "is":
            answer(isinstance, target, rest[0])
        elif act in UNARY:
            answer(UNARY[act], target)
        elif act in BINARY:
            answer(BINARY[act], target, rest[0])
        else:
            answer(setattr, target, *rest)


# ---------------------------------------------------------------- the tests' process


class ProgramError(Exception):
    """The program raised an exception that Python has no name for."""


class Program:
    """The program's process as the tests see it."""

    def __init__(self, requests, replies):
        self.requests, self.replies = requests, replies
        self.remotes = {}

    def reply(self):
        """What the program answers; an exception that it raised is raised here, marked as its own."""
        data = read_frame(self.replies)
        value = Reader(data[1:], self.remote).value()
        if data[:1] == b"=":
            return value
        name, message = value
        kind = getattr(builtins, name, None)
        try:
            error = kind(message) if issubclass(kind, Exception) else ProgramError(f"{name}: {message}")
        except TypeError:
            error = ProgramError(f"{name}: {message}")
        error.of_program = True
        raise error

    def ask(self, act, target, *rest):
        write_frame(self.requests, pack((act, target, *rest), self.own))
        return self.reply()

    def own(self, value):
        if isinstance(value, Remote) and type(value) is Remote:
            return sized(b"h", object.__getattribute__(value, "_handle").encode())
        raise TypeError(f"the tests pass a {type(value).__name__}, which cannot be sent to the program")

    def remote(self, tag, text):
        if tag == b"m":  # a module is the tests' own, never the program's
            if text.partition(".")[0] not in sys.stdlib_module_names:
                raise ValueError("a frame names an unknown module")
            __import__(text)
            return sys.modules[text]
        if tag != b"h":
            raise ValueError("a frame has an unknown tag")
        return self.remotes.setdefault(text, Remote(self, text))


class Remote:
    """Stands for an object that is no plain value.

    What it is by itself (its truth, its length, its text) is the program's to say, and so is an operator between two
    of the program's objects. Beside a value of the tests it has no operators and equals nothing: a program could else
    return what equals everything.
    """

    def __init__(self, program, handle):
        object.__setattr__(self, "_program", program)
        object.__setattr__(self, "_handle", handle)

    def __call__(self, *args, **kwargs):
        return ask("call", self, args, kwargs)

    def __getattr__(self, name):
        return ask("get", self, name)

    def __setattr__(self, name, value):
        ask("set", self, name, value)

    def __instancecheck__(self, instance):
        return type(instance) is Remote and ask("is", instance, self)

    def _special(self, name, *args):
        try:
            method = self.__getattr__(name)
        except AttributeError as error:
            raise TypeError(str(error)) from None
        return method(*args)

    def __iter__(self):
        iterator = ask("iter", self)
        return iterator if type(iterator) is Remote else iter(iterator)

    def __next__(self):
        return self._special("__next__")

    def __getitem__(self, key):
        return self._special("__getitem__", key)

    def __contains__(self, key):
        return self._special("__contains__", key)


def ask(act, remote, *rest):
    return object.__getattribute__(remote, "_program").ask(act, remote, *rest)


def unary(act):
    return lambda self: ask(act, self)


def binary(act):
    return lambda self, other: ask(act, self, other) if type(other) is Remote else NotImplemented


for act in UNARY:
    if act != "iter":
        setattr(Remote, f"__{act}__", unary(act))
for act in BINARY:
    setattr(Remote, f"__{act.strip('_')}__", binary(act))


def used_names(codes):
    """Names that the tests' code looks up, in order."""
    names = {}
    for code in codes:
        names.update(dict.fromkeys(code.co_names))
        names.update(dict.fromkeys(used_names([part for part in code.co_consts if isinstance(part, Code)])))
    return list(names)


def judge(tests, program):
    """Run the tests; the verdict's line.

    A name of Python's own is taken from the program only where the tests use no other name of it: else a program
    could redefine `set` or `abs`, with which the tests compare.
    """
    trusted, entry, steps = tests
    namespace = {"__name__": "tests"}
    exec(compile(trusted, "<trusted>", "exec"), namespace)
    codes = [compile(source, "<tests>", "exec") for _, source in steps]
    program.reply()
    names = entry or [name for name in used_names(codes) if name not in namespace]
    values = program.ask("names", names)
    if not isinstance(values, dict):
        raise ValueError("the program's names are no dict")
    foreign = {name: value for name, value in values.items() if entry or not hasattr(builtins, name)}
    namespace.update(foreign or values)
    for (label, _), code in zip(steps, codes, strict=True):
        try:
            exec(code, namespace)
        except AssertionError as error:
            if hasattr(error, "of_program"):
                raise
            return f"0 wrong: {label}" + f" ({error})" * bool(str(error))
    return "1 right"


def verdict(child, program):
    """As `judge`; the program's own errors, its death and whatever it sends end as failures."""
    try:
        return judge(read_tests(), program)
    except EOFError as error:
        if hasattr(error, "of_program"):
            return "0 error: EOFError"
    except BrokenPipeError:
        pass
    except BaseException as error:
        name = "" if isinstance(error, ProgramError) else f"{type(error).__name__}: "
        return f"0 error: {name}{error}"
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -24:  # SIGXCPU
        return "0 timeout: CPU time"
    return f"0 crashed: signal {-status}" if status < 0 else f"0 exited: status {status}, before the tests were done"


def read_tests():
    return Reader(read_frame(0), None).value()


def set_limits(limits):
    """Hard limits, which only a privileged process could raise; this one is not."""
    for name, (soft, hard) in limits.items():
        resource.setrlimit(getattr(resource, name), (soft, hard))


def forbid_inspection():
    """Let no process of the same user read or trace this one, nor take over its descriptors (see prctl(2))."""
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")
    if _ctypes.call_function(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0)) != 0:
        raise OSError("prctl(PR_SET_DUMPABLE) failed")


def main():
    sys.path[:] = [folder for folder in sys.path if folder]
    source, limits = Reader(read_frame(0), None).value()
    set_limits(limits)
    forbid_inspection()
    requests, ask = os.pipe()
    replies, reply = os.pipe()
    child = os.fork()
    if child == 0:
        # Both ends where nothing else is, and then nothing else: no tests, no way out.
        os.dup2(requests, 100)
        os.dup2(reply, 101)
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        os.closerange(3, 100)
        os.closerange(102, 4096)
        try:
            run_program(source, 100, 101)
        finally:
            os._exit(0)
    os.close(requests)
    os.close(reply)
    out = os.dup(1)
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    line = " ".join(verdict(child, Program(ask, replies)).split())[:300]
    os.write(out, line.encode("utf-8", "replace"))
    os._exit(0)


if __name__ == "__main__":
    main()
