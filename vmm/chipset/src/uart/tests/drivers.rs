//! What firmware and Linux do to find out what port this is. Each test is the driver's sequence of accesses.

use super::Rig;

#[test]
fn seabios_finds_the_port() {
    let mut rig = Rig::new();
    rig.write(1, 0x02);
    assert_eq!(rig.read(1), 0x02);
    assert_eq!(rig.read(2) & 0x3f, 0x02);
    rig.write(1, 0x00);
    assert_eq!(rig.levels(), [true, false]);
}

#[test]
fn seabios_console_prints() {
    let mut rig = Rig::new();
    rig.write(3, 0x03);
    rig.write(2, 0x01);
    for &byte in b"Booting" {
        assert_eq!(rig.read(5) & 0x20, 0x20);
        rig.write(0, byte);
    }
    assert_eq!(rig.output(), b"Booting");
}

#[test]
fn linux_finds_interrupt_enable_bits_and_loopback() {
    let mut rig = Rig::new();
    rig.write(1, 0x00);
    assert_eq!(rig.read(1) & 0x0f, 0x00);
    rig.write(1, 0x0f);
    assert_eq!(rig.read(1) & 0x0f, 0x0f);
    rig.write(1, 0x00);
    rig.write(4, 0x1a);
    assert_eq!(rig.read(6) & 0xf0, 0x90);
}

#[test]
fn linux_tells_a_16550a_from_its_successors() {
    let mut rig = Rig::new();
    rig.write(3, 0xbf);
    rig.write(2, 0x00);
    rig.write(3, 0x00);
    rig.write(2, 0x01);
    assert_eq!(rig.read(2) >> 6, 3, "FIFOs that work");

    rig.write(3, 0x80);
    assert_ne!(rig.read(2), 0, "no extended features register: not a 16650");
    rig.write(3, 0xbf);
    assert_ne!(rig.read(2), 0, "no extended features register: not a 16650V2");

    rig.write(3, 0x00);
    rig.write(2, 0x01);
    assert_eq!(rig.read(2) >> 5, 6);
    rig.write(3, 0x80);
    rig.write(2, 0x21);
    assert_eq!(rig.read(2) >> 5, 6, "no 64-byte FIFOs: not a 16750");
    rig.write(3, 0x00);

    rig.write(1, 0x40);
    assert_eq!(rig.read(1), 0x00, "no unit enable bit: not an XScale port");
}

#[test]
fn linux_finds_no_transmitter_bugs() {
    let mut rig = Rig::with_fifos(0);
    // Enabling the interrupt of an idle transmitter raises it each time.
    rig.write(1, 0x02);
    assert_eq!(rig.read(2) & 0x0f, 0x02);
    rig.write(1, 0x00);
    rig.write(1, 0x02);
    assert_eq!(rig.read(2) & 0x0f, 0x02);
    rig.write(1, 0x00);
    // With TEMT on, enabling it is enough to start sending.
    rig.write(1, 0x02);
    assert_eq!(rig.read(5) & 0x40, 0x40);
    assert_eq!(rig.read(2) & 0x01, 0x00);
}

#[test]
fn linux_sends_sixteen_bytes_an_interrupt() {
    let mut rig = Rig::with_fifos(2);
    rig.write(1, 0x07);
    let mut left = (0..200_u8).collect::<Vec<_>>().into_iter();
    while rig.levels().contains(&true) {
        while rig.read(2) & 0x01 == 0 {
            let burst: Vec<_> = left.by_ref().take(16).collect();
            if burst.is_empty() {
                rig.write(1, 0x05);
            }
            rig.send(&burst);
        }
    }
    assert_eq!(rig.output(), (0..200).collect::<Vec<_>>());
}

#[test]
fn linux_receives_more_than_a_fifo_of_input() {
    let mut rig = Rig::with_fifos(2);
    rig.write(1, 0x05);
    let typed: Vec<u8> = (0..100).collect();
    let (mut sent, mut received) = (0, Vec::new());
    while received.len() < typed.len() {
        sent += rig.host().push_input(&typed[sent..]);
        assert_eq!(rig.read(2) & 0x07, 0x04);
        while rig.read(5) & 0x01 != 0 {
            received.push(rig.read(0));
        }
    }
    assert_eq!((received, rig.read(2)), (typed, 0xc1));
}
