use super::*;

/// Writes a manifest as `cargo xtask firmware` does, for firmware `name` in folder `dir`.
fn bundle(dir: &Path, name: &str, version: &str) {
    let home = dir.join(name);
    fs::create_dir_all(&home).unwrap();
    let manifest = format!(
        r#"{{"name": "{name}", "version": "{version}", "description": "read by people", "boots": "disks",
            "licence": "LGPL-3.0-only", "image": "{name}.bin", "size": 131072, "sha256": "0123456789abcdef0123",
            "source": {{"package": "{name}"}}}}"#
    );
    fs::write(home.join("manifest.json"), manifest).unwrap();
}

#[test]
fn firmware_is_found_with_its_image_beside_the_manifest() {
    let dir = tempfile::tempdir().unwrap();
    bundle(dir.path(), "seabios", "1.16.2");

    let catalogue = Catalogue::discover(&[dir.path().to_path_buf()]);

    let seabios = catalogue.resolve("seabios").unwrap();
    assert_eq!(seabios.image, dir.path().join("seabios/seabios.bin"));
    assert_eq!((seabios.size, seabios.version.as_str()), (131_072, "1.16.2"));
}

#[test]
fn earlier_folder_wins_and_later_ones_add() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    bundle(first.path(), "seabios", "mine");
    bundle(second.path(), "seabios", "stock");
    bundle(second.path(), "edk2", "stock");

    let catalogue = Catalogue::discover(&[first.path().into(), second.path().into()]);

    assert_eq!(catalogue.resolve("seabios").unwrap().version, "mine");
    assert_eq!(catalogue.resolve("edk2").unwrap().version, "stock");
}

#[test]
fn builds_that_are_not_current_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    bundle(&dir.path().join("current"), "seabios", "new");
    bundle(dir.path(), "0123456789abcdef", "old");

    let catalogue = Catalogue::discover(&[dir.path().into()]);

    assert_eq!(catalogue.iter().map(|firmware| firmware.name.as_str()).collect::<Vec<_>>(), ["seabios"]);
}

#[test]
fn option_rom_is_no_firmware_and_is_found_apart() {
    let dir = tempfile::tempdir().unwrap();
    bundle(dir.path(), "linuxboot", "1");
    let manifest = dir.path().join("linuxboot/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen('{', r#"{"kind": "option-rom","#, 1)).unwrap();

    let catalogue = Catalogue::discover(&[dir.path().into()]);

    assert_eq!(catalogue.iter().count(), 0);
    assert!(catalogue.resolve("linuxboot").is_err());
    assert_eq!(catalogue.option_rom("linuxboot").unwrap().version, "1");
    let message = catalogue.option_rom("pvh").unwrap_err().to_string();
    assert_eq!(message, r#"no option ROM "pvh" is bundled; build it with `cargo xtask firmware build pvh`"#);
}

#[test]
fn malformed_manifest_is_a_fault_that_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    bundle(dir.path(), "seabios", "1.16.2");
    fs::create_dir(dir.path().join("broken")).unwrap();
    fs::write(dir.path().join("broken/manifest.json"), "{").unwrap();

    let catalogue = Catalogue::discover(&[dir.path().into()]);

    assert!(catalogue.resolve("seabios").is_ok());
    let faults: Vec<_> = catalogue.faults().iter().map(ToString::to_string).collect();
    let path = dir.path().join("broken/manifest.json");
    assert_eq!(
        faults,
        [format!("firmware manifest {} is malformed, build the firmware again", path.display())]
    );
}

#[test]
fn unknown_name_is_answered_with_the_known_ones() {
    let dir = tempfile::tempdir().unwrap();
    bundle(dir.path(), "edk2", "1");
    bundle(dir.path(), "seabios", "1");

    let message = Catalogue::discover(&[dir.path().into()]).resolve("seabois").unwrap_err().to_string();

    assert_eq!(message, r#"no bundled firmware is called "seabois"; there is: edk2, seabios"#);
}

#[test]
fn empty_bundle_says_where_it_looked_and_what_to_do() {
    let message = Catalogue::discover(&["/no/where".into()]).resolve("seabios").unwrap_err().to_string();

    assert_eq!(
        message,
        "no firmware \"seabios\": none is bundled (looked in /no/where); build it with `cargo xtask firmware build`, \
         or name an image file"
    );
}

#[test]
fn search_starts_with_the_named_folder_and_ends_with_the_systems() {
    let dirs = search_dirs(Some("/my/build".into()), Some(Path::new("/src/target/release/tinderbox")));

    let expected = ["/my/build", "/src/target/firmware", "/usr/share/tinderbox/firmware"];
    assert_eq!(dirs, expected.map(PathBuf::from));
}

#[test]
fn empty_variable_names_no_folder() {
    assert_eq!(search_dirs(Some(OsString::new()), None), [PathBuf::from(SYSTEM_DIR)]);
}

#[test]
fn table_has_aligned_columns() {
    let dir = tempfile::tempdir().unwrap();
    bundle(dir.path(), "seabios", "1.16.2");

    let table = Catalogue::discover(&[dir.path().into()]).to_string();

    let table = table.replace(&*dir.path().to_string_lossy(), "DIR");
    assert_eq!(
        table,
        "NAME     VERSION  SIZE     LICENCE        SHA-256       BOOTS  IMAGE\n\
         seabios  1.16.2   128 KiB  LGPL-3.0-only  0123456789ab  disks  DIR/seabios/seabios.bin\n"
    );
}
