//! Loopback mode and the modem lines.

use rstest::rstest;

use super::Rig;

#[test]
fn loopback_connects_transmitter_and_receiver() {
    let mut rig = Rig::new();
    rig.write(4, 0x10);
    rig.send(b"x");
    assert_eq!((rig.read(5), rig.read(0)), (0x61, b'x'));
    assert_eq!(rig.output(), b"");
}

#[test]
fn loopback_without_fifos_overwrites() {
    let mut rig = Rig::new();
    rig.write(4, 0x10);
    rig.send(b"xy");
    assert_eq!((rig.read(5), rig.read(0)), (0x63, b'y'));
}

#[test]
fn loopback_with_fifos_keeps_the_first_sixteen() {
    let mut rig = Rig::with_fifos(0);
    rig.write(4, 0x10);
    rig.send(b"0123456789abcdefg");
    let received: Vec<_> = (0..16).map(|_| rig.read(0)).collect();
    assert_eq!((received.as_slice(), rig.read(5)), (b"0123456789abcdef".as_slice(), 0x62));
}

#[test]
fn loopback_does_not_hear_the_host() {
    let mut rig = Rig::new();
    rig.write(4, 0x10);
    assert_eq!((rig.host().input_space(), rig.host().push_input(b"x")), (0, 0));
    rig.write(4, 0x00);
    assert_eq!(rig.calls(), 1);
    assert_eq!(rig.host().push_input(b"x"), 1);
}

#[rstest]
#[case::dtr(0x11, 0x20)]
#[case::rts(0x12, 0x10)]
#[case::out1(0x14, 0x40)]
#[case::out2(0x18, 0x80)]
fn loopback_connects_outputs_and_inputs(#[case] mcr: u8, #[case] msr: u8) {
    let mut rig = Rig::new();
    rig.write(4, mcr);
    assert_eq!(rig.read(6) & 0xf0, msr);
    rig.write(4, mcr & 0x0f);
    assert_eq!(rig.read(6) & 0xf0, 0xb0);
}

#[test]
fn changed_inputs_interrupt_until_they_are_read() {
    let mut rig = Rig::new();
    rig.write(1, 0x08);
    rig.write(4, 0x1f); // as before, but RI on
    assert_eq!(rig.read(2), 0x01, "RI tells only of its end");
    rig.write(4, 0x1a); // RI and DSR off
    assert_eq!(rig.read(2), 0x00);
    assert_eq!(rig.read(6), 0x96);
    assert_eq!((rig.read(6), rig.read(2)), (0x90, 0x01));
    assert_eq!(rig.levels(), [true, false]);
}

#[test]
fn outputs_mean_nothing_without_loopback() {
    let mut rig = Rig::new();
    for mcr in 0..0x10 {
        rig.write(4, mcr);
        assert_eq!(rig.read(6), 0xb0);
    }
}
