//! An image that knows nobody until `--cloud-init` tells it: needs a KVM that runs 64-bit guests, or the lab.

use std::fs;

use anyhow::{Result, ensure};
use machine_tests::{VmBuilder, patience};

const USER_DATA: &str = "#cloud-config
locale: false
users:
- name: ada
  plain_text_passwd: lovelace
  lock_passwd: false
  shell: /bin/bash
  sudo: ALL=(ALL) NOPASSWD:ALL
write_files:
- path: /etc/seeded
  content: by the host
";

/// Behind SeaBIOS, GRUB and Debian's kernel, cloud-init finds the seed by its label, and does what it says.
#[test]
fn stock_cloud_image_lets_in_whom_the_seed_names() -> Result<()> {
    let builder = VmBuilder::new("login")?;
    let (user_data, meta_data) = (builder.dir().join("user-data"), builder.dir().join("meta-data"));
    fs::write(&user_data, USER_DATA)?;
    fs::write(&meta_data, "instance-id: first\nlocal-hostname: engine\n")?;
    let seed = format!("user-data={},meta-data={}", user_data.display(), meta_data.display());
    let mut vm = builder.debian_disk("")?.args(["--memory", "512M", "--cloud-init", &seed]).start()?;
    vm.expect("engine login: ", patience(120))?;
    vm.send("root\n")?;
    vm.expect("Password: ", patience(20))?;
    vm.send("\n")?;
    vm.expect("Login incorrect", patience(20))?;
    vm.expect("login: ", patience(20))?;
    vm.send("ada\n")?;
    vm.expect("Password: ", patience(20))?;
    vm.send("lovelace\n")?;
    vm.expect("ada@engine", patience(20))?;
    let status = vm.shell("cloud-init status --wait --long || true")?;
    ensure!(status.contains("status: done"), "{status}");
    ensure!(vm.shell("cat /etc/seeded")? == "by the host");
    ensure!(vm.shell("sudo id -u 2>/dev/null")? == "0");
    vm.presses_the_power_button()
}
