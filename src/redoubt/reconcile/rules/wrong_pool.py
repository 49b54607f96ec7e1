"""A machine that works at a pool or for an account that the register does not have for it.

This is what a hijack looks like from the machine's side. Firmware that lies here is caught by the
share book, not by this rule.
"""

from __future__ import annotations

from datetime import timedelta

from redoubt.model.finding import Severity
from redoubt.model.register import Pool
from redoubt.model.status import PoolState, PoolStatus
from redoubt.reconcile._evidence import active_pool, clip, machine_fact, register_fact
from redoubt.reconcile._pools import account_of, fold_url
from redoubt.reconcile._round import SiteRound
from redoubt.reconcile._rule import UNJUDGED, MachineRule, NoLimits, Trouble, Verdict
from redoubt.reconcile.views import MachineView


def judge(machine: MachineView, around: SiteRound, _limits: NoLimits) -> Verdict:
    registered, status = machine.registered, machine.status
    if registered is None or registered.pool is None:
        return None
    pool = around.pools.get(registered.pool)
    if status is None or pool is None or not status.pools:
        return UNJUDGED
    active = active_pool(status)
    if active is not None and (cause := _difference(active, pool, registered.worker)) is not None:
        return _foreign(machine, around, active, pool, cause)
    for backup in status.pools:
        if backup is not active and _is_foreign_backup(backup, around):
            return _foreign(machine, around, backup, pool, "backup_pool")
    return None if active is not None else UNJUDGED


def _difference(active: PoolStatus, pool: Pool, worker: str | None) -> str | None:
    """Return what is not as registered, the worst first; what is not said is not blamed."""
    if active.user and account_of(active.user) != account_of(pool.account):
        return "account"
    if active.url and fold_url(active.url) != fold_url(pool.url):
        return "pool"
    if worker and active.user and "." in active.user and active.user != f"{pool.account}.{worker}":
        return "worker"
    return None


def _is_foreign_backup(backup: PoolStatus, around: SiteRound) -> bool:
    if not backup.url or not backup.user or backup.state is PoolState.DISABLED:
        return False
    return account_of(backup.user) not in around.accounts


_SEVERITIES = {
    "account": Severity.CRITICAL,
    "pool": Severity.HIGH,
    "backup_pool": Severity.MEDIUM,
    "worker": Severity.LOW,
}


def _foreign(
    machine: MachineView, around: SiteRound, shown: PoolStatus, pool: Pool, cause: str
) -> Trouble:
    url, user = clip(shown.url or "unknown pool"), clip(shown.user or "unknown user")
    titles = {
        "account": f"Works for a foreign account: {user}",
        "pool": f"Works at an unregistered pool: {url}",
        "backup_pool": f"Would fall back to a foreign account: {user}",
        "worker": f"Works under another worker name: {user}",
    }
    fact = machine_fact(
        machine,
        f"pool {shown.index} ({shown.state.value}) is {url} as {user}",
        pool_url=url,
        pool_user=user,
    )
    register = around.view.register
    allowed = register_fact(
        around.now if register is None else register.made_at,
        f"allowed is {pool.url} for account {pool.account}",
        registered_url=pool.url,
        registered_account=pool.account,
    )
    return Trouble(_SEVERITIES[cause], titles[cause], cause, (fact, allowed))


RULE = MachineRule(
    name="wrong_pool",
    about="A machine works, or would work, at a pool or for an account not registered for it.",
    gives="the pool and user that the machine reports, and those that the register allows",
    severity=Severity.CRITICAL,
    hold_on=timedelta(seconds=15),
    hold_off=timedelta(seconds=60),
    judge=judge,
)
