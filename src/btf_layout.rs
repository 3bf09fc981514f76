//! The layout of `bpf/record.h` as the compiler laid it out, for tests.

use libbpf_rs::btf::{Btf, BtfKind, HasSize as _, types};
use std::collections::HashMap;

/// Checks a struct's size and the offsets of its fields, in bytes.
pub(crate) fn check(name: &str, size: usize, offsets: &[(&str, usize)]) {
    let (fields, real) = layout_of(name);
    assert_eq!(real, size, "size of {name}");
    for (field, offset) in offsets {
        assert_eq!(fields.get(*field), Some(offset), "{name}.{field}");
    }
}

/// The offsets of every field, and the size, of a struct in the compiled object.
fn layout_of(name: &str) -> (HashMap<String, usize>, usize) {
    #[repr(align(8))]
    struct Aligned<T: ?Sized>(T);
    static OBJECT: &Aligned<[u8]> =
        &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/exec.bpf.o")));
    let btf = Btf::from_raw("exec", &OBJECT.0).unwrap().expect("the object has BTF");
    let record: types::Struct<'_> =
        btf.type_by_name(name).unwrap_or_else(|| panic!("record.h has no struct {name}"));
    assert_eq!(record.kind(), BtfKind::Struct);
    let fields = record
        .iter()
        .map(|member| {
            let types::MemberAttr::Normal { offset } = member.attr else {
                panic!("{name} has a bit field")
            };
            (member.name.unwrap().to_str().unwrap().to_owned(), offset as usize / 8)
        })
        .collect();
    (fields, record.size())
}
