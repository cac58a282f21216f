//! ACPI tables as firmware would leave them behind.

use super::error::BootError;
use super::layout;
use super::piece::Piece;
use crate::machine::Plan;
use crate::machine::tables::acpi_tables;

/// The tables follow the root pointer at the alignment that the strictest of them wants.
const TABLES: u64 = layout::ACPI.start + 64;

/// The root pointer at the start of its place, and the tables, linked; nothing in a machine without ACPI.
pub(super) fn tables(plan: &Plan) -> Result<Vec<Piece>, BootError> {
    let Some(tables) = acpi_tables(plan) else { return Ok(Vec::new()) };
    let resolved = tables.resolve(TABLES, layout::ACPI.start)?;
    Ok(vec![
        Piece::bytes("ACPI root pointer", layout::ACPI.start, resolved.rsdp),
        Piece::bytes("ACPI tables", TABLES, resolved.tables),
    ])
}
