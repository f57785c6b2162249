"""Writes golden.tfevents with TensorBoard's own record writer (pip install tensorboard), or reads event files back:

    make_events.py golden.tfevents
    make_events.py --read FOLDER        # prints step, tag and value of every scalar that TensorBoard keeps
"""
import sys

if sys.argv[1] == "--read":
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(sys.argv[2])
    events.Reload()
    for tag in sorted(events.Tags()["scalars"]):
        for scalar in events.Scalars(tag):
            print(scalar.step, tag, scalar.value, scalar.wall_time)
else:
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    def scalars(step, wall_time, *values):
        return Event(step=step, wall_time=wall_time,
                     summary=Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values]))

    events = [
        Event(wall_time=1700000000.25, file_version="brain.Event:2"),
        Event(wall_time=1700000000.25, step=7, session_log=SessionLog(status=SessionLog.START)),
        scalars(7, 1700000001.5, ("loss", 2.5), ("learning_rate/language", 2e-4)),
        scalars(8, 1700000002.75, ("loss", float("nan")), ("größe", -0.0), ("zero", 0.0)),
        scalars(3_000_000_000, 1700000003.0, ("loss", float("inf"))),
        scalars(9, 1700000004.0),
    ]
    with open(sys.argv[1], "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()
