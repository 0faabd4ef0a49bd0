"""The exam of full-duplex agents with a body: scenarios, arms, scorers from physics and sound, controls.

`scenario.py` has the protocol, `scenarios/` one file each, `scorers.py` and `spoken.py` the judges, `arms.py` who takes
the exam, `play.py` one episode from a case to its rows, `injected.py` behaviours with known values for the judges.
docs/exam.md says what each scenario asks and how it is judged.
"""
