"""Brings Airflow's and the ledger's databases to the newest schema, and makes Airflow's roles and users.

Run by the compose file's `init` service before anything else; may run any number of times. Passwords come from files,
and are set anew on every run: to change one, change its file and run `init` again.
"""

import os
import subprocess
import sys
from pathlib import Path

SECRETS = Path(os.environ.get("SECRETS_DIR", "/run/secrets"))
SHORTEST_PASSWORD = 16

READ = "can_read"
EDIT = "can_edit"
MENU = "menu_access"
# A monitor sees how the nights went and decides on held deliveries. No logs, XCom, code, configuration or connections,
# and no starting, clearing or pausing: `can_edit` on the one DAG is what answering its question demands.
MONITOR = [
    (READ, "Website"),
    (READ, "My Profile"),
    (READ, "My Password"),
    (EDIT, "My Password"),
    (READ, "DAGs"),
    (READ, "DAG Runs"),
    (READ, "Task Instances"),
    (READ, "DAG Versions"),
    (READ, "Assets"),
    (READ, "HITL Detail"),
    (EDIT, "HITL Detail"),
    (EDIT, "DAG:decide"),
    (MENU, "DAGs"),
    (MENU, "Browse"),
    (MENU, "HITL Detail"),
]
# What an engineer may beyond Airflow's own role "User" (DAGs and their runs): backfills and the audit log. No users,
# roles, connections, variables or configuration.
ENGINEER = [
    (READ, "Audit Logs"),
    (MENU, "Audit Logs"),
    ("can_create", "Backfills"),
    (EDIT, "Backfills"),
    ("can_delete", "Backfills"),
    (MENU, "HITL Detail"),
    (READ, "Task Reschedules"),
]


def password_of(user: str) -> str:
    path = SECRETS / f"{user}_password"
    password = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if len(password) < SHORTEST_PASSWORD:
        sys.exit(
            f"init: {path} has no password of {SHORTEST_PASSWORD} characters or more. Make one: docker/make_secrets.py."
        )
    return password


def make_people(passwords: dict[str, str]) -> None:
    """One role and one person for each password; a permission taken off a list above is taken from the role."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as appbuilder:
        manager = appbuilder.sm
        manager.sync_roles()
        roles = {
            "monitor": MONITOR,
            "engineer": [*manager.VIEWER_PERMISSIONS, *manager.USER_PERMISSIONS, *ENGINEER],
        }
        manager.bulk_sync_roles([{"role": name, "perms": permissions} for name, permissions in roles.items()])
        for name, password in passwords.items():
            role = manager.find_role(name)
            for permission in list(role.permissions):
                if (permission.action.name, permission.resource.name) not in roles[name]:
                    manager.remove_permission_from_role(role, permission)
            person = manager.find_user(username=name) or manager.add_user(name, name, "", f"{name}@localhost", role)
            person.roles = [role]
            manager.update_user(person)
            manager.reset_password(person.id, password)


def main() -> None:
    passwords = {name: password_of(name) for name in ("engineer", "monitor")}
    subprocess.run(["airflow", "db", "migrate"], check=True)
    make_people(passwords)

    from warehouse import ledger
    from warehouse.core.settings import get_settings

    ledger.upgrade(get_settings().ledger)
    print("init: databases, roles and people are ready")


if __name__ == "__main__":
    main()
