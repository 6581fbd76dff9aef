#!/usr/bin/env python3
"""Why: a result file must be complete or absent, an interrupted run must leave nothing behind, and
a closed pipe is no error.

    test_cli_files.py --pluck PLUCK [TEST...]
"""
import os
import resource
import signal
import stat
import subprocess
import time

from command_case import CommandCase, main

LONG = "pluck sample logits.npy --rows 0 --draws 1000000000 --format json"


class Files(CommandCase):
    def start(self, line, **more):
        process = subprocess.Popen(["sh", "-c", "exec " + line], cwd=self.folder, env=self.env,
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        return process

    def wait_for_temporary(self):
        for _ in range(1000):
            if any(n.startswith(".out.json.") for n in self.names()):
                return
            time.sleep(0.01)
        self.fail("no temporary file appeared")

    def test_output_file_is_the_standard_output(self):
        printed = self.run_line("pluck sample small.npy --format json")
        self.assertEqual(self.run_line("pluck sample small.npy --format json -o out.json"), b"")
        self.assertEqual((self.folder / "out.json").read_bytes(), printed)

    def test_new_file_has_the_usual_permissions(self):
        self.run_line("umask 027; pluck sample small.npy -o out.json")
        self.assertEqual(stat.S_IMODE((self.folder / "out.json").stat().st_mode), 0o640)

    def test_old_file_keeps_its_permissions_and_its_link(self):
        target = self.folder / "target.json"
        target.write_text("old")
        target.chmod(0o604)
        (self.folder / "link.json").symlink_to("target.json")
        self.run_line("pluck sample small.npy -o link.json")
        self.assertTrue((self.folder / "link.json").is_symlink())
        self.assertIn("survivors", target.read_text())
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o604)

    def test_a_bad_row_leaves_no_file_and_the_old_one(self):
        before = self.names()
        self.run_line("pluck sample nan.npy -o out.json", code=3)
        self.assertEqual(self.names(), before)
        (self.folder / "out.json").write_text("old")
        self.run_line("pluck sample nan.npy -o out.json", code=3)
        self.assertEqual((self.folder / "out.json").read_text(), "old")
        self.assertEqual(self.names(), sorted([*before, "out.json"]))

    def test_rows_before_a_bad_one_are_printed(self):
        printed = self.run_line("pluck sample nan.npy --format json", code=3)
        self.assertEqual(len(printed.splitlines()), 3)

    def test_skipped_rows_keep_the_file(self):
        self.run_line("pluck sample nan.npy --skip-bad --format json -o out.json", code=3)
        self.assertEqual(len((self.folder / "out.json").read_text().splitlines()), 4)

    def test_a_full_disk_leaves_no_file(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        before = self.names()
        process = self.start(LONG + " -o out.json", preexec_fn=limit)
        self.assertIn(b"out.json: File too large", process.communicate(timeout=60)[1])
        self.assertEqual(process.returncode, 4)
        self.assertEqual(self.names(), before)

    def test_signals_remove_the_unfinished_file(self):
        before = self.names()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            def take_it(number=number):  # even where nohup or a shell's & has it ignored
                signal.signal(number, signal.SIG_DFL)
            process = self.start(LONG + " -o out.json", preexec_fn=take_it)
            self.wait_for_temporary()
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=60), -number)
            self.assertEqual(self.names(), before)

    def test_a_closed_pipe_ends_quietly(self):
        line = f"{LONG} | head -1 | wc -l; echo ${{PIPESTATUS[0]}}"
        self.assertEqual(self.run_line(line).split(), [b"1", b"141"])
        self.assertEqual(self.stderr, "")

    def test_a_closed_pipe_ends_quietly_when_the_parent_ignores_the_signal(self):
        line = f"trap '' PIPE; {LONG} | head -1 | wc -l; echo ${{PIPESTATUS[0]}}"
        self.assertEqual(self.run_line(line).split(), [b"1", b"141"])
        self.assertEqual(self.stderr, "")

    def test_an_input_is_never_overwritten(self):
        os.link(self.folder / "config8.json", self.folder / "again.json")
        for line in ("small.npy -o small.npy", "a.npy small.npy -o small.npy",
                     "small.npy --vocab vocab8.json -o vocab8.json",
                     "small.npy --config config8.json -o again.json"):
            before = {n: (self.folder / n).stat() for n in self.names()}
            self.run_line("pluck sample " + line, code=2)
            after = {n: (self.folder / n).stat() for n in self.names()}
            self.assertEqual([(n, s.st_mtime_ns, s.st_size) for n, s in before.items()],
                             [(n, s.st_mtime_ns, s.st_size) for n, s in after.items()])
        self.run_line("pluck inspect small.npy -o small.npy", code=2)

    def test_a_message_never_lands_in_a_file(self):
        """With standard error closed the next file opened would get its number."""
        self.run_line("pluck sample nan.npy --skip-bad --format csv -o out.json 2>&-", code=3)
        lines = (self.folder / "out.json").read_text().splitlines()
        self.assertEqual(lines[0], "row,draw,token,logprob,survivors")
        self.assertEqual(len(lines), 5)

    def test_a_streamed_row_is_answered_at_once(self):
        line = ["pluck", "sample", "-", "--vocab-size", "8", "--format", "json"]
        with subprocess.Popen(line, env=self.env, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            process.stdin.write((self.folder / "small.raw").read_bytes()[:32])
            process.stdin.flush()
            self.assertTrue(process.stdout.readline().startswith(b'{"row":0,'))
            process.stdin.close()
            self.assertEqual(process.wait(timeout=60), 0)

    def test_memory_does_not_grow_with_the_draws(self):
        def peak(draws):
            code = ("import resource, subprocess, sys\n"
                    "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
                    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
            return int(self.run_line(f"python3 -c '{code}' pluck sample small.npy --draws {draws}"))
        self.assertLess(peak(200000), peak(10) + 2048)

    def test_a_name_with_a_line_break_gives_one_line(self):
        self.run_line("pluck sample $'no\\nsuch\\e[31mfile'", code=4)
        self.assertEqual(self.stderr.count("\n"), 1)
        self.assertNotIn("\x1b", self.stderr)


if __name__ == "__main__":
    main()
