//! A JSON object's members in their order, their values byte for byte: for bodies of which a few members
//! are not what an upstream wants.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The members of an object.
#[derive(Clone, Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl<'a> Members<'a> {
    /// `None`: it is no object.
    #[must_use]
    pub fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// Puts `value`, which is JSON, where a member of that name is, or at the end.
    pub fn set(&mut self, name: &'a str, value: &impl Serialize) {
        let value = Cow::Owned(serde_json::value::to_raw_value(value).expect("plain values are JSON"));
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, former)) => *former = value,
            None => self.0.push((Cow::Borrowed(name), value)),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names and raw JSON are JSON")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    members.push((key.0, Cow::Borrowed(map.next_value::<&'de RawValue>()?)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, &**value)?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_touched_keeps_its_bytes_and_its_order() {
        let body = br#"{"z":1.00,"model":"x","a\u0062":{"k" : [1,2]},"a":"\u4f60"}"#;
        let mut members = Members::read(body).unwrap();
        assert_eq!(members.get("z").unwrap().get(), "1.00");
        members.remove("model");
        members.set("a", &"new");
        members.set("version", &"v");
        let text = String::from_utf8(members.write()).unwrap();
        assert_eq!(text, r#"{"z":1.00,"ab":{"k" : [1,2]},"a":"new","version":"v"}"#);
        assert!(Members::read(b"[1]").is_none() && Members::read(b"{").is_none());
    }
}
