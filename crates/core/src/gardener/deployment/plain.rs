//! The small parts of a Deployment, as API servers write them.

use super::{Annotations, Labels, TemplateAnnotations, TemplateMetadata, VolumeMount};
use crate::json::{Plain, PlainText};

impl<'a> Plain<'a> for Labels<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let (mut app, mut role) = (None, None);
        text.each_member(|key, text| match key {
            "app" => text.once(&mut app),
            "role" => text.once(&mut role),
            _ => text.skip(),
        })?;
        Some(Self { app, role })
    }
}

impl<'a> Plain<'a> for Annotations<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let mut overlaps = None;
        text.each_member(|key, text| match key {
            "network-guard.extensions.gardener.cloud/overlaps" => text.once(&mut overlaps),
            _ => text.skip(),
        })?;
        Some(Self { overlaps })
    }
}

impl<'a> Plain<'a> for TemplateMetadata<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let mut annotations = None;
        text.each_member(|key, text| match key {
            "annotations" => text.once(&mut annotations),
            _ => text.skip(),
        })?;
        Some(Self { annotations })
    }
}

impl<'a> Plain<'a> for TemplateAnnotations<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let (mut envoy_config, mut egress_selector_config) = (None, None);
        text.each_member(|key, text| match key {
            "network-guard.extensions.gardener.cloud/envoy-config" => text.once(&mut envoy_config),
            "network-guard.extensions.gardener.cloud/egress-selector-config" => text.once(&mut egress_selector_config),
            _ => text.skip(),
        })?;
        Some(Self { envoy_config, egress_selector_config })
    }
}

impl<'a> Plain<'a> for VolumeMount<'a> {
    fn read(text: &mut PlainText<'a>) -> Option<Self> {
        let (mut name, mut mount_path, mut read_only) = (None, None, None);
        text.each_member(|key, text| match key {
            "name" => text.once(&mut name),
            "mountPath" => text.once(&mut mount_path),
            "readOnly" => text.once(&mut read_only),
            _ => text.skip(),
        })?;
        Some(Self { name: name?, mount_path: mount_path?, read_only: read_only.unwrap_or_default() })
    }
}
