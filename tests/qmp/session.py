"""A session as a tool that drives QEMU would have it. Arguments: the machine's socket, and a disc of two blocks."""

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


COMMANDS = """
    query-status query-version query-commands query-kvm query-cpus-fast query-block query-chardev query-machines stop cont
    system_powerdown system_reset quit balloon query-balloon device_add device_del eject blockdev-change-medium
    blockdev-open-tray blockdev-close-tray blockdev-remove-medium blockdev-insert-medium blockdev-add blockdev-del
    input-send-event send-key screendump human-monitor-command add-fd remove-fd query-fdsets set_link qmp_capabilities
""".split()


async def queries(client):
    """What is asked of the machine is answered in QEMU's shape."""
    commands = {command["name"] for command in await client.execute("query-commands")}
    assert set(COMMANDS) <= commands, set(COMMANDS) - commands
    assert (await client.execute("query-version"))["qemu"]["major"] == 7
    assert await client.execute("query-kvm") == {"enabled": True, "present": True}
    assert [cpu["cpu-index"] for cpu in await client.execute("query-cpus-fast")] == [0, 1]
    assert (await client.execute("query-name"))["name"] == "session"
    assert [machine["name"] for machine in await client.execute("query-machines")] == ["microvm"]
    assert await client.execute("query-chardev") == []
    assert (await client.execute("query-balloon"))["actual"] == 64 << 20
    assert await client.execute("balloon", {"value": 32 << 20}) == {}


async def drive(client):
    """The machine's one drive."""
    [block] = await client.execute("query-block")
    assert block["qdev"] == "cd" and block["removable"], block
    return block


async def moved(events):
    data = await expect(events, "DEVICE_TRAY_MOVED")
    assert data["id"] == "cd", data
    return data["tray-open"]


async def media(client, events, disc):
    """Discs come by their path, as nodes and as descriptors, and go."""
    assert "inserted" not in await drive(client)
    await client.execute("blockdev-change-medium", {"id": "cd", "filename": disc, "format": "raw"})
    assert [await moved(events), await moved(events)] == [True, False]
    assert (await drive(client))["inserted"]["image"]["virtual-size"] == 4096
    await client.execute("eject", {"id": "cd"})
    assert await moved(events)
    assert (await drive(client))["tray_open"]
    file = {"driver": "file", "filename": disc, "read-only": True}
    await client.execute("blockdev-add", {"driver": "raw", "node-name": "n", "read-only": True, "file": file})
    await client.execute("blockdev-insert-medium", {"id": "cd", "node-name": "n"})
    await client.execute("blockdev-close-tray", {"id": "cd"})
    assert not await moved(events)
    assert await refused(client, "blockdev-remove-medium", {"id": "cd"}) == "GenericError"
    await client.execute("blockdev-open-tray", {"id": "cd"})
    assert await moved(events)
    await client.execute("blockdev-remove-medium", {"id": "cd"})
    await client.execute("blockdev-del", {"node-name": "n"})
    assert await refused(client, "eject", {"id": "nothing"}) == "DeviceNotFound"
    assert await refused(client, "set_link", {"name": "nothing", "up": False}) == "DeviceNotFound"


async def descriptors(client, events, disc):
    """The command line's descriptor is there, and another comes through the socket."""
    [given] = await client.execute("query-fdsets")
    assert given["fdset-id"] == 2 and given["fds"][0]["opaque"] == "given", given
    assert await refused(client, "add-fd") == "GenericError"
    with open(disc, "rb") as file:
        client.send_fd_scm(file.fileno())
    added = await client.execute("add-fd", {"opaque": "sent"})
    for number in (2, added["fdset-id"]):
        path = f"/dev/fdset/{number}"
        await client.execute("blockdev-change-medium", {"id": "cd", "filename": path, "format": "raw"})
        assert (await drive(client))["inserted"]["file"] == path
        await client.execute("remove-fd", {"fdset-id": number})
    assert await client.execute("query-fdsets") == []
    assert await refused(client, "remove-fd", {"fdset-id": 2}) == "GenericError"


async def session(client, events, disc):
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
    await queries(client)
    await media(client, events, disc)
    await descriptors(client, events, disc)
    assert await refused(client, "screendump", {"filename": "/tmp/a"}) == "DeviceNotActive"
    assert await refused(client, "teleport") == "CommandNotFound"
    assert await refused(client, "stop", {"now": True}) == "GenericError"
    await client.execute("quit")
    assert await expect(events, "SHUTDOWN") == {"guest": False, "reason": "host-qmp-quit"}


async def main(path, disc):
    client = QMPClient("machine-tests")
    with client.listener() as events:
        await client.connect(path)
        await session(client, events, disc)
        try:
            await client.disconnect()
        except EOFError:
            pass  # the machine hung up first
    print("the session is over")


asyncio.run(main(*sys.argv[1:]))
