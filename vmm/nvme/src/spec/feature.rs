//! Features. NVMe 1.4, 5.21.1.

/// What a feature is: a byte of the driver's choice.
pub(crate) mod id {
    pub(crate) const ARBITRATION: u8 = 0x01;
    pub(crate) const POWER_MANAGEMENT: u8 = 0x02;
    pub(crate) const TEMPERATURE_THRESHOLD: u8 = 0x04;
    pub(crate) const ERROR_RECOVERY: u8 = 0x05;
    pub(crate) const WRITE_CACHE: u8 = 0x06;
    pub(crate) const NUMBER_OF_QUEUES: u8 = 0x07;
    pub(crate) const INTERRUPT_COALESCING: u8 = 0x08;
    pub(crate) const INTERRUPT_VECTOR: u8 = 0x09;
    pub(crate) const WRITE_ATOMICITY: u8 = 0x0a;
    pub(crate) const ASYNC_EVENTS: u8 = 0x0b;
}

/// Which value Get Features wants. NVMe 1.4, 5.14.
pub(crate) mod select {
    pub(crate) const CURRENT: u32 = 0;
    pub(crate) const DEFAULT: u32 = 1;
    pub(crate) const SAVED: u32 = 2;
    pub(crate) const CAPABILITIES: u32 = 3;
}

/// The capability of a feature: it can be changed.
pub(crate) const CHANGEABLE: u32 = 1 << 2;

/// Degrees Kelvin at 0 °C, rounded as drives do.
const ZERO_CELSIUS: u16 = 273;
/// What this drive always measures: it has no heat.
pub(crate) const TEMPERATURE: u16 = ZERO_CELSIUS + 30;
/// WCTEMP, and the over-temperature threshold until a driver sets another.
pub(crate) const TEMPERATURE_WARNING: u16 = ZERO_CELSIUS + 70;
/// CCTEMP.
pub(crate) const TEMPERATURE_CRITICAL: u16 = ZERO_CELSIUS + 85;
