"""The list of faults F1 to F27: what must hold, how it is measured, and the tests that would fail without the defence.

`tests` are node ids of pytest; a test looks that they exist. A fault without a measure in the table has only these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.reliability import deaths, processes, simulated, sources, vendors
from tests.reliability.row import Row, Size

Measure = Callable[[Path, Size], Iterator[Row]]
RUN, STATE = "tests/runtime/test_run.py::test_", "tests/runtime/test_state.py::test_"
COURIER, CLI = "tests/runtime/test_courier.py::test_", "tests/test_cli.py::test_"
HTTP, WIRE = "tests/runtime/test_http.py::test_", "tests/runtime/test_transports.py::test_"
SOURCES = "tests/sources/"

MEASURES: dict[Measure, tuple[str, ...]] = {
    deaths.killed: ("F1",),
    deaths.struck: ("F2",),
    deaths.failing: ("F3", "F4"),
    deaths.full: ("F3",),
    processes.signals: ("F5",),
    processes.damaged: ("F6",),
    vendors.passing: ("F7", "F9", "F10", "F11", "F12"),
    vendors.limits: ("F8",),
    vendors.outages: ("F9",),
    vendors.refusals: ("F13", "F14", "F15"),
    vendors.lasting: ("F7", "F16", "F17"),
    sources.changed: ("F18",),
    sources.damaged: ("F19",),
    sources.bad_rows: ("F21",),
    sources.jumping: ("F22",),
    processes.twins: ("F23",),
    processes.unusable: ("F24",),
    sources.memory: ("F25",),
    sources.again: ("F26",),
    processes.streams: ("F27",),
    simulated.schedules: ("sim",),
}


@dataclass(frozen=True)
class Fault:
    number: str
    what: str
    promise: str
    tests: tuple[str, ...]

    @property
    def measures(self) -> list[Measure]:
        return [measure for measure, numbers in MEASURES.items() if self.number in numbers]


MATRIX = [
    Fault("F1", "kill -9 anywhere", "resumes; lost 0; again only what was in flight", (
        "tests/crash/test_crash.py::test_killed_and_started_again_until_done",
        f"{RUN}killed_at_any_exchange_nothing_is_lost_and_nothing_settled_is_sent_again",
        f"{RUN}a_kill_repeats_at_most_what_was_in_flight",
    )),
    Fault("F2", "crash at every durable call", "the same", (
        "tests/crash/test_durable.py::test_dead_at_durable_calls",
        "tests/sinks/test_file.py::test_cut_off_anywhere_gives_the_same_file",
        "tests/runners/test_replay.py::test_a_replay_that_was_cut_off_after_a_letter_was_refused_again_loses_nothing",
    )),
    Fault("F3", "disk full", "exit 3, path and free bytes; a dead letter is never skipped; goes on with room", (
        "tests/crash/test_disk.py::test_a_disk_that_fails",
        "tests/crash/test_disk.py::test_a_real_disk_that_is_full",
        "tests/runtime/test_deadletters.py::test_a_disk_that_refuses_halts_and_keeps_the_letters",
        "tests/runtime/test_disk.py::test_a_full_disk_is_told_with_the_room_that_is_left",
        "tests/runners/test_local.py::test_a_disk_that_is_full_at_the_end_halts_with_the_whole_report",
    )),
    Fault("F4", "EIO on fsync", "fails the run; no handle is synced again", (
        "tests/crash/test_disk.py::test_a_disk_that_fails",
    )),
    Fault("F5", "SIGTERM, SIGINT", "waits for what is in flight, 10 s at most; exit 130; a second one at once", (
        f"{CLI}a_signal_ends_a_waiting_run_with_130_and_it_resumes",
        f"{CLI}an_interrupt_while_it_is_loaded_is_130",
        f"{RUN}an_interrupt_inside_a_long_wait_ends_it",
        f"{RUN}an_interrupted_run_waits_for_what_flies_and_keeps_the_position",
    )),
    Fault("F6", "checkpoint torn, garbled, empty, of another layout or pipeline", "exit 4, named; never from 0 silently", (
        f"{STATE}a_damaged_state_is_refused_by_name",
        f"{STATE}a_garbled_checkpoint_is_refused",
        f"{STATE}another_layout_is_refused",
        f"{STATE}pipelines_do_not_see_each_other",
        f"{CLI}a_damaged_state_is_4",
    )),
    Fault("F7", "429 with Retry-After in every form", "obeyed, capped; none early", (
        "tests/runtime/test_rate_and_retry.py::test_retry_after_in_every_form",
        f"{COURIER}retry_after_is_obeyed_and_holds_the_other_lanes_too",
        f"{COURIER}nobody_goes_before_the_vendor_said_not_even_who_had_a_place",
        f"{COURIER}a_retry_after_beyond_the_cap_halts",
    )),
    Fault("F8", "rate limits that are known", "at most 1 % answered 429, at least 90 % used", (
        "tests/runtime/test_limits.py::test_at_the_limit",
        "tests/runtime/test_pace_processes.py::test_two_processes_share_one_limit",
    )),
    Fault("F9", "500 to 504, refused, DNS, TLS", "waited out within patience, then exit 3; TLS halts at once", (
        "tests/runtime/test_outage.py::test_every_vendor_of_the_registry_has_its_outage",
        f"{WIRE}a_certificate_that_is_not_halts",
        f"{COURIER}patience_ends_in_a_halt_never_in_a_dead_letter",
    )),
    Fault("F10", "answers lost before or after processing", "the same bytes again, the same ids; counted", (
        f"{COURIER}retries_that_may_double_are_counted_apart",
        f"{COURIER}not_now_means_the_same_bytes_again",
        f"{WIRE}what_comes_over_the_wire",
        f"{WIRE}a_connection_that_was_never_made_carried_nothing",
    )),
    Fault("F11", "answer drips", "a deadline for the whole exchange", (
        f"{WIRE}the_time_limit_is_for_the_whole_exchange",
        f"{HTTP}a_head_that_drips_does_not_hold_up_the_loop",
    )),
    Fault("F12", "200 that is cut, empty, HTML, no JSON", "no success: sent again", (
        f"{HTTP}an_answer_that_is_not_json_proves_nothing",
        f"{WIRE}after_any_answer_the_next_is_its_own",
    )),
    Fault("F13", "200 that names failures", "exactly these are dead letters; counts that do not add up isolate", (
        "tests/vendors/test_iterable_truth.py", "tests/vendors/test_iterable_answers.py",
    )),
    Fault("F14", "400 for the whole batch", "halved; only the culprit dies", (
        f"{COURIER}a_refused_batch_is_halved_until_the_bad_one_is_alone",
        "tests/vendors/test_iterable_refusals.py",
    )),
    Fault("F15", "413, and bounds on size", "split; one that is too large alone is a dead letter", (
        f"{COURIER}halves_keep_their_order",
        f"{COURIER}a_refused_batch_is_halved_until_the_bad_one_is_alone",
    )),
    Fault("F16", "401 or 403 in the middle of a run", "halts at once, nothing is a dead letter", (
        f"{RUN}a_refused_key_halts_at_once",
        f"{COURIER}after_a_refused_key_at_most_what_was_in_flight_is_sent",
    )),
    Fault("F17", "redirect", "never followed", (
        f"{WIRE}a_redirect_is_an_answer_never_followed",
    )),
    Fault("F18", "source cut, edited, replaced, appended to between starts", "exit 4 unless it only grew", (
        f"{RUN}a_source_that_changed_under_the_checkpoint_is_refused",
        f"{RUN}a_source_that_only_grew_goes_on",
        "tests/runtime/test_append.py::test_a_file_that_was_cut_or_replaced_is_refused",
        f"{SOURCES}test_positions.py::test_the_checksum_tells_whether_what_was_read_is_still_there",
    )),
    Fault("F19", "gzip cut short, damaged, with something behind it", "exit 4, position kept; an empty one warns", (
        f"{SOURCES}test_packed.py::test_cut_short_is_refused_after_what_came_before",
        f"{SOURCES}test_packed.py::test_bad_checksum",
        f"{SOURCES}test_packed.py::test_something_behind_the_end_is_refused_and_zeros_are_not",
        f"{SOURCES}test_packed.py::test_an_empty_packed_file_is_worth_a_warning",
        f"{RUN}a_source_cut_short_delivers_what_it_gave_and_says_so",
    )),
    Fault("F20", "HTTP source cut off", "taken up where it broke; without a length it cannot show, and warns", (
        f"{SOURCES}test_http.py::test_a_cut_connection_is_taken_up_where_it_broke",
        f"{SOURCES}test_http.py::test_a_cut_without_a_length_cannot_show_and_may_be_refused_beforehand",
        f"{SOURCES}test_http.py::test_a_server_that_always_cuts_is_given_up_and_what_came_stands",
    )),
    Fault("F21", "bad rows", "a dead letter with line and offset; too many halt", (
        f"{SOURCES}test_csv.py::test_one_bad_line_costs_that_line_alone",
        f"{SOURCES}test_jsonl.py::test_one_bad_line_costs_that_line_alone",
        f"{SOURCES}test_arrays.py::test_one_bad_element_costs_that_element_alone",
        f"{RUN}too_many_errors_halt",
    )),
    Fault("F22", "wall clock jumps", "waits go by the monotonic clock", (
        "tests/reliability/test_matrix.py::test_measured",
    )),
    Fault("F23", "two runs of one pipeline", "one runs; the other ends with 4 and names the holder", (
        f"{CLI}two_runs_at_once_the_second_is_4_within_a_second",
        f"{STATE}a_kill_frees_the_lock",
        f"{STATE}the_second_run_is_refused_and_told_who_holds_the_lock",
    )),
    Fault("F24", "state locked or read-only", "exit 3, path named, nothing sent", (
        f"{CLI}a_state_that_cannot_be_written_is_3",
        f"{STATE}a_read_only_database_halts",
        f"{STATE}a_database_that_somebody_holds_halts",
        "tests/runners/test_local.py::test_a_state_that_somebody_holds_is_found_before_anything_is_sent",
    )),
    Fault("F25", "huge records, many rows", "150 MB; the row after the giant is delivered", (
        f"{SOURCES}test_memory.py::test_a_line_of_100_mb_is_skipped",
        f"{SOURCES}test_memory.py::test_a_giant_line_of_json_is_skipped",
        f"{SOURCES}test_memory.py::test_many_rows",
    )),
    Fault("F26", "rerun after success", "append sends nothing; full sends all with the same ids", (
        f"{RUN}append_sends_nothing_new_then_only_what_was_added",
        f"{RUN}a_finished_run_is_finished_and_the_next_reads_anew_with_the_same_ids",
    )),
    Fault("F27", "stdout closed, terminal gone, full", "the run goes on and keeps its exit code", (
        f"{CLI}a_run_keeps_its_exit_code_whatever_its_streams_are",
        f"{CLI}a_closed_stdout_does_not_change_what_a_run_came_to",
        f"{CLI}a_closed_stderr_does_not_stop_a_run",
    )),
]  # fmt: skip
