"""A model of which the hardware tables say nothing, so that boards and fans cannot be judged."""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.reconcile._evidence import clip, machine_fact
from redoubt.reconcile._round import SiteRound, hardware_of
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, _around: SiteRound, _limits: NoLimits) -> Verdict:
    status = machine.status
    if status is None or status.model is None:
        return UNJUDGED
    if hardware_of(status) is not None:
        return None
    name = clip(f"{status.make or 'unknown make'} {status.model}")
    fact = machine_fact(
        machine,
        f"no hardware table has {name}: expected boards, fans and hashrate are not known",
        make=clip(status.make) if status.make else None,
        model=clip(status.model),
    )
    return Trouble(Severity.INFO, f"Model {name} is in no hardware table", "no_facts", (fact,))


RULE = MachineRule(
    name="unknown_model",
    about="The hardware tables do not have a machine's model, so less can be judged about it.",
    gives="make and model as the machine spells them",
    severity=Severity.INFO,
    # Long enough for a first sweep, so that a crowd is told as one.
    hold_on=timedelta(seconds=30),
    judge=judge,
    crowd=10,
    crowd_words="are of models in no hardware table",
)
