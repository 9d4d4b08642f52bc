//! The objects that the spec of a Wukong refers to by name.

use wukong_api::{Wukong, names};
use wukong_engine::facts::Text;

/// Returns the names of referenced objects that do not contain the name of the Wukong.
pub fn references(wukong: &Wukong) -> Box<[Text]> {
    let names = sources(wukong).chain(nads(wukong));
    names.map(Text::from).collect()
}

fn sources(wukong: &Wukong) -> impl Iterator<Item = String> {
    let sources = wukong
        .spec
        .disks
        .iter()
        .filter_map(|disk| disk.source.as_ref());
    let copied = sources.flat_map(|source| {
        let data_source = source.data_source.as_ref();
        let named = [&source.pvc, &source.snapshot].into_iter().flatten();
        named
            .map(|named| &named.name)
            .chain(data_source.map(|named| &named.name))
            .cloned()
    });
    let used = wukong
        .spec
        .disks
        .iter()
        .filter_map(|disk| disk.claim.clone());
    let restored = wukong.spec.restore_from_snapshot.clone();
    copied.chain(used).chain(restored)
}

fn nads(wukong: &Wukong) -> impl Iterator<Item = String> {
    let name = wukong.metadata.name.as_deref().unwrap_or_default();
    wukong.spec.networks.iter().map(move |network| {
        network
            .nad_name
            .clone()
            .unwrap_or_else(|| names::network_attachment_definition(name, &network.name))
    })
}
