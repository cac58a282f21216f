use super::*;

#[test]
fn mirrors_come_from_debian_entries_only() {
    let targets = "Docker|Docker|http://other.example/debian/\n\
                   Debian|Debian|cdrom:[Debian]/\n\
                   Debian|Debian|http://mirror.example/debian/\n\
                   Debian|Debian-Security|http://mirror.example/security/\n";

    let mirrors = Mirrors::parse(targets);

    let debian = "http://mirror.example/debian/".to_owned();
    assert_eq!(
        mirrors,
        Some(Mirrors { debian, security: Some("http://mirror.example/security/".to_owned()) })
    );
}

#[test]
fn mirrors_of_a_machine_without_lists_are_unknown() {
    assert_eq!(Mirrors::parse(""), None);
}

#[test]
fn security_suite_without_security_archive_is_an_error() {
    let mirrors = Mirrors { debian: "http://mirror.example/debian/".to_owned(), security: None };

    assert!(mirrors.of_suite("bookworm-updates").is_ok());
    assert!(
        mirrors.of_suite("bookworm-security").unwrap_err().to_string().contains("no Debian security archive")
    );
}

#[test]
fn sources_list_has_a_signed_line_for_each_suite_and_kind() {
    let apt = PrivateApt {
        dir: PathBuf::new(),
        suites: vec!["bookworm".to_owned(), "bookworm-security".to_owned()],
        components: "main".to_owned(),
        with_sources: true,
        updated: Cell::new(false),
    };
    let mirrors = Mirrors { debian: "m:d/".to_owned(), security: Some("m:s/".to_owned()) };

    let text = apt.sources_list(&mirrors).unwrap();

    let signed = |index| format!("[signed-by={KEYRING} target={index}]");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines,
        [
            format!("deb {} m:d/ bookworm main", signed("Packages")),
            format!("deb-src {} m:d/ bookworm main", signed("Sources")),
            format!("deb {} m:s/ bookworm-security main", signed("Packages")),
            format!("deb-src {} m:s/ bookworm-security main", signed("Sources")),
        ]
    );
}

#[test]
fn deb_names_keep_the_encoded_epoch() {
    let uris = "'http://m/pool/b/bash/bash_5.2_amd64.deb' bash_1%3a5.2_amd64.deb 1491032 SHA256:00\nnoise\n";

    assert_eq!(deb_names(uris).collect::<Vec<_>>(), ["bash_1%3a5.2_amd64.deb"]);
}

#[test]
fn complaint_is_the_first_marked_error() {
    assert_eq!(complaint("W: odd\nE: Unable to locate package x\nE: more\n"), "Unable to locate package x");
    assert_eq!(complaint("dpkg-deb: error: no such file\n"), "dpkg-deb: error: no such file");
}
