"""A session as a tool that drives QEMU would have it. Argument: the machine's socket. Prints each step."""

import asyncio
import sys

from qemu.qmp import ExecuteError, QMPClient


async def expect(events, name):
    """Waits for the event `name` and returns its data."""
    while True:
        event = await asyncio.wait_for(events.get(), 30)
        if event["event"] == name:
            assert event["timestamp"]["seconds"] > 1_600_000_000, event
            return event.get("data")


async def status(client):
    return (await client.execute("query-status"))["status"]


async def refused(client, command, arguments=None):
    """The class of the error that `command` ends in."""
    try:
        await client.execute(command, arguments)
    except ExecuteError as error:
        return error.error_class
    raise AssertionError(f"{command} was not refused")


async def session(client, events):
    assert await status(client) == "prelaunch"
    await client.execute("cont")
    await expect(events, "RESUME")
    assert await status(client) == "running"
    await client.execute("stop")
    await expect(events, "STOP")
    assert await status(client) == "paused"
    await client.execute("system_reset")
    assert await expect(events, "RESET") == {"guest": False, "reason": "host-qmp-system-reset"}
    assert await status(client) == "paused", "a reset starts nothing"
    await client.execute("cont")
    await client.execute("system_powerdown")
    await expect(events, "POWERDOWN")
    assert await client.execute("human-monitor-command", {"command-line": "info status"}) == "VM status: running\r\n"
    assert len(await client.execute("query-cpus-fast")) == 2
    assert (await client.execute("query-name"))["name"] == "session"
    commands = {command["name"] for command in await client.execute("query-commands")}
    assert {"stop", "cont", "quit", "query-status", "qmp_capabilities"} <= commands
    assert await refused(client, "teleport") == "CommandNotFound"
    assert await refused(client, "stop", {"now": True}) == "GenericError"
    await client.execute("quit")
    assert await expect(events, "SHUTDOWN") == {"guest": False, "reason": "host-qmp-quit"}


async def main(path):
    client = QMPClient("machine-tests")
    with client.listener() as events:
        await client.connect(path)
        await session(client, events)
        try:
            await client.disconnect()
        except EOFError:
            pass  # the machine hung up first
    print("the session is over")


asyncio.run(main(sys.argv[1]))
