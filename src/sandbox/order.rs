//! All that the runner tells helper and init, in one memory file.

use std::ffi::OsString;
use std::path::PathBuf;

use super::codec::{Decoder, Encoder, STRING_MAX};
use super::{How, Limits, Network, Plant, Sleeps};

/// No order is longer: the plan's own bound, the layers' paths, and slack.
pub(super) const ORDER_MAX: usize = STRING_MAX;

/// All that helper and init need to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Order {
    pub run: String,
    pub run_dir: PathBuf,
    pub id_base: u32,
    /// Bottom to top.
    pub layers: Vec<PathBuf>,
    pub layer_id_base: u32,
    pub argv: Vec<OsString>,
    pub env: Vec<OsString>,
    pub user: String,
    pub working_dir: OsString,
    pub hostname: String,
    pub network: Option<Network>,
    pub limits: Limits,
    pub sleeps: Sleeps,
    /// Seconds.
    pub uptime: u64,
    /// Commands that init runs when it is told to.
    pub errands: Vec<Vec<OsString>>,
    pub plants: Vec<Plant>,
}

impl Order {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.bytes(self.run.as_bytes()).bytes(self.run_dir.as_os_str().as_encoded_bytes());
        out.number(self.id_base.into()).number(self.layer_id_base.into());
        out.list(self.layers.iter().map(|path| path.as_os_str().as_encoded_bytes()));
        out.list(self.argv.iter().map(|text| text.as_encoded_bytes()));
        out.list(self.env.iter().map(|text| text.as_encoded_bytes()));
        out.bytes(self.user.as_bytes()).bytes(self.working_dir.as_encoded_bytes());
        out.bytes(self.hostname.as_bytes());
        let texts = self.network.map(|network| [network.address.to_string(), network.resolver.to_string()]);
        out.list(texts.iter().flatten().map(String::as_bytes).collect::<Vec<_>>().into_iter());
        let Limits { memory, cpus, pids, disk, disk_files, open_files, output } = self.limits;
        for limit in [memory, cpus.map(f64::to_bits), pids.map(u64::from), disk, disk_files] {
            out.byte(u8::from(limit.is_some())).number(limit.unwrap_or(0));
        }
        out.number(open_files).number(output);
        out.byte(u8::from(self.sleeps == Sleeps::Skipped)).number(self.uptime);
        out.number(self.errands.len() as u64);
        for argv in &self.errands {
            out.list(argv.iter().map(|text| text.as_encoded_bytes()));
        }
        out.number(self.plants.len() as u64);
        for Plant { path, content, mode, how } in &self.plants {
            out.bytes(path).bytes(content).number((*mode).into()).byte(u8::from(*how == How::Append));
        }
        out.done()
    }

    pub fn decode(bytes: &[u8]) -> Option<Order> {
        let mut input = Decoder::new(bytes);
        let order = Order {
            run: input.string()?,
            run_dir: input.os_string()?.into(),
            id_base: input.number()?.try_into().ok()?,
            layer_id_base: input.number()?.try_into().ok()?,
            layers: input.list()?.into_iter().map(PathBuf::from).collect(),
            argv: input.list()?,
            env: input.list()?,
            user: input.string()?,
            working_dir: input.os_string()?,
            hostname: input.string()?,
            network: network(&mut input)?,
            limits: Limits {
                memory: input.option()?,
                cpus: input.option()?.map(f64::from_bits),
                pids: input.option()?.map(u32::try_from).transpose().ok()?,
                disk: input.option()?,
                disk_files: input.option()?,
                open_files: input.number()?,
                output: input.number()?,
            },
            sleeps: if input.byte()? == 0 { Sleeps::Slept } else { Sleeps::Skipped },
            uptime: input.number()?,
            errands: input.lists()?,
            plants: plants(&mut input)?,
        };
        input.is_done().then_some(order)
    }
}

/// The outer `None`: unreadable.
fn network(input: &mut Decoder<'_>) -> Option<Option<Network>> {
    let texts = input.list()?.into_iter().map(OsString::into_string);
    match &texts.collect::<Result<Vec<_>, _>>().ok()?[..] {
        [] => Some(None),
        [address, resolver] => {
            Some(Some(Network { address: address.parse().ok()?, resolver: resolver.parse().ok()? }))
        }
        _ => None,
    }
}

fn plants(input: &mut Decoder<'_>) -> Option<Vec<Plant>> {
    let count = input.number()?;
    (0..count).map(|_| plant(input)).collect()
}

fn plant(input: &mut Decoder<'_>) -> Option<Plant> {
    Some(Plant {
        path: input.bytes(STRING_MAX)?.to_vec(),
        content: input.bytes(STRING_MAX)?.to_vec(),
        mode: input.number()?.try_into().ok()?,
        how: match input.byte()? {
            0 => How::New,
            1 => How::Append,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn orders_survive_the_wire_and_cut_ones_do_not() {
        let order = Order {
            run: "0123456789abcdef".into(),
            layers: vec!["/a".into(), "/b".into()],
            argv: vec![OsString::from_vec(b"\xff".to_vec()), "".into()],
            network: Some(Network { address: [172, 17, 0, 2].into(), resolver: [10, 0, 0, 2].into() }),
            limits: Limits {
                cpus: Some(1.5),
                pids: Some(7),
                disk_files: Some(3),
                open_files: 99,
                ..Limits::default()
            },
            sleeps: Sleeps::Slept,
            uptime: 950_400,
            errands: vec![vec!["/bin/true".into(), "".into()], vec![]],
            plants: [How::New, How::Append]
                .map(|how| Plant { path: b"~/\xff".to_vec(), content: vec![0, 1], mode: 0o600, how })
                .into(),
            ..Order::default()
        };
        let bytes = order.encode();
        assert_eq!(Order::decode(&bytes), Some(order));
        for length in 0..bytes.len() {
            assert_eq!(Order::decode(&bytes[..length]), None);
        }
    }
}
