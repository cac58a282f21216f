//! The plugs of network interfaces, which programs pull and put in.

use net::Plug;

use crate::config::NetConfig;

/// The interfaces by name.
#[derive(Clone, Debug, Default)]
pub struct Links(Vec<Link>);

#[derive(Clone, Debug)]
struct Link {
    /// What programs know it by.
    names: Vec<String>,
    plug: Plug,
}

/// There is no interface of this name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Device '{0}' not found")]
pub struct NoInterface(String);

impl Links {
    /// The interfaces of `configs`, each with its plug.
    pub(super) fn new(configs: &[NetConfig], plugs: Vec<Plug>) -> Self {
        let link = |((n, config), plug): ((usize, &NetConfig), Plug)| {
            let mut names = config.names.clone();
            names.push(format!("net{n}"));
            Link { names, plug }
        };
        Self(configs.iter().enumerate().zip(plugs).map(link).collect())
    }

    /// Takes the link of the interface `name` up or down.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn set(&self, name: &str, up: bool) -> Result<(), NoInterface> {
        let link = self.0.iter().find(|link| link.names.iter().any(|known| known == name));
        link.ok_or_else(|| NoInterface(name.into()))?.plug.set(up);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_goes_by_each_of_its_names() {
        let plugs = [Plug::new().unwrap(), Plug::new().unwrap()];
        let named = NetConfig { names: vec!["lan".into()], .."null".parse().unwrap() };
        let links = Links::new(&[named, "null".parse().unwrap()], plugs.to_vec());
        let out = || [plugs[0].is_out(), plugs[1].is_out()];
        assert_eq!((links.set("lan", false), out()), (Ok(()), [true, false]));
        assert_eq!((links.set("net0", true), links.set("net1", false)), (Ok(()), Ok(())));
        assert_eq!(out(), [false, true]);
        assert_eq!(links.set("net2", false), Err(NoInterface("net2".into())));
    }
}
