use super::rig::*;
use crate::Speed;

#[test]
fn ports_show_after_a_reset_what_is_plugged_in() {
    let mut rig = Rig::stopped();
    rig.plug(Speed::Super);
    rig.plug(Speed::High);
    rig.write(USBCMD, 2);
    rig.run();
    assert_eq!(rig.read(USBCMD), 0, "HCRST is done");
    assert_eq!([0x440, 0x450, 0x4c0].map(|port| rig.read(port)), [0x0002_1203, 0x0000_02a0, 0x0002_0ee1]);
}

#[test]
fn port_reset_resets_the_device_and_tells() {
    let mut rig = Rig::started();
    rig.plug(Speed::High);
    rig.events();
    rig.write(0x4c0, 1 << 4 | 1 << 9);
    rig.run();
    let event = rig.events()[0];
    assert_eq!((event.kind, event.pointer), (34, 9 << 24));
    assert_eq!(rig.read(0x4c0) & 0x20_0013, 0x20_0003, "PRC, PED, CCS");
    assert_eq!(rig.script.lock().unwrap().resets, 1);
}

#[test]
fn each_change_is_told_once() {
    let mut rig = Rig::started();
    rig.plug(Speed::Super);
    assert_eq!(rig.events().len(), 1);
    assert!(rig.controller.detach(crate::xhci::PortId(1)).is_some());
    assert_eq!(rig.events().len(), 0, "CSC is set already");
    rig.write(0x440, 1 << 17);
    rig.plug(Speed::Super);
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn stopped_controller_is_halted_and_silent() {
    let mut rig = Rig::started();
    assert_eq!(rig.read(USBSTS) & 1, 0);
    rig.write(USBCMD, 0);
    rig.run();
    assert_eq!(rig.read(USBSTS) & 1, 1);
    rig.plug(Speed::Super);
    assert_eq!((rig.events(), rig.read(USBSTS) & 0x10), (vec![], 0x10), "PCD alone");
}

#[test]
fn restore_without_save_is_an_error() {
    let mut rig = Rig::stopped();
    rig.write(USBCMD, 1 << 9);
    assert_eq!(rig.read(USBSTS) & 1 << 10, 1 << 10);
    rig.write(USBSTS, 1 << 10);
    rig.write(USBCMD, 1 << 8);
    rig.write(USBCMD, 1 << 9);
    assert_eq!(rig.read(USBSTS) & 1 << 10, 0);
}

#[test]
fn capabilities_are_read_in_any_width() {
    let mut rig = Rig::stopped();
    assert_eq!(rig.controller.read(0, bus::Width::Byte), 0x40);
    assert_eq!(rig.controller.read(2, bus::Width::Word), 0x0120);
    assert_eq!(rig.controller.read(0x10, bus::Width::Qword), 0x2000_0008_0043);
}
