//! Parquet: tables of results in columns with types, and recorded requests that come in such files. Only built with
//! `--features parquet`: the crate takes as long to build as half of this one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

/// What a column of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8 text.
    Text,
    /// A 64-bit integer.
    Whole,
    /// A double, or nothing.
    Number,
}

/// Rows in one group: groups are what readers skip by.
const GROUP: usize = 1 << 20;

/// Writes the table of a CSV file, whose columns are of these names and kinds, as Parquet.
pub(crate) fn write(csv: &Path, to: &Path, columns: &[(String, Kind)]) -> io::Result<()> {
    let fields = columns.iter().map(|(name, kind)| {
        let (physical, converted, repetition) = match kind {
            Kind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8, Repetition::REQUIRED),
            Kind::Whole => (Physical::INT64, ConvertedType::NONE, Repetition::REQUIRED),
            Kind::Number => (Physical::DOUBLE, ConvertedType::NONE, Repetition::OPTIONAL),
        };
        let built = Type::primitive_type_builder(name, physical).with_converted_type(converted).with_repetition(repetition).build();
        built.map(Arc::new).map_err(io::Error::other)
    });
    let schema = Type::group_type_builder("schema").with_fields(fields.collect::<io::Result<_>>()?).build().map_err(io::Error::other)?;
    let mut writer = SerializedFileWriter::new(File::create(to)?, Arc::new(schema), Arc::new(WriterProperties::builder().build()))
        .map_err(io::Error::other)?;
    let mut reader = csv::Reader::from_path(csv)?;
    let mut records = reader.records();
    loop {
        let rows: Vec<csv::StringRecord> = records.by_ref().take(GROUP).collect::<Result<_, _>>()?;
        if rows.is_empty() {
            break;
        }
        write_group(&mut writer, &rows, columns).map_err(io::Error::other)?;
    }
    writer.close().map(drop).map_err(io::Error::other)
}

fn write_group(
    writer: &mut SerializedFileWriter<File>,
    rows: &[csv::StringRecord],
    columns: &[(String, Kind)],
) -> parquet::errors::Result<()> {
    let mut group = writer.next_row_group()?;
    for (at, (_, kind)) in columns.iter().enumerate() {
        let cells = || rows.iter().map(move |row| row.get(at).unwrap_or_default());
        let Some(mut column) = group.next_column()? else { break };
        match kind {
            Kind::Text => {
                let values: Vec<ByteArray> = cells().map(ByteArray::from).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
            Kind::Whole => {
                let values: Vec<i64> = cells().map(|cell| cell.parse().unwrap_or_default()).collect();
                column.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            Kind::Number => {
                let values: Vec<f64> = cells().filter_map(|cell| cell.parse().ok()).collect();
                let there: Vec<i16> = cells().map(|cell| i16::from(cell.parse::<f64>().is_ok())).collect();
                column.typed::<DoubleType>().write_batch(&values, Some(&there), None)?;
            }
        }
        column.close()?;
    }
    group.close().map(drop)
}

/// The rows of a Parquet file as lines of CSV, one after the other: it is never in memory as a whole.
pub(crate) struct AsCsv {
    rows: RowIter<'static>,
    line: io::Cursor<Vec<u8>>,
}

impl AsCsv {
    /// # Errors
    /// It is no Parquet file, or is compressed in a way that this build does not read.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let reader = SerializedFileReader::new(File::open(path)?).map_err(io::Error::other)?;
        let names: Vec<String> =
            reader.metadata().file_metadata().schema_descr().root_schema().get_fields().iter().map(|f| f.name().to_owned()).collect();
        let rows = RowIter::from_file_into(Box::new(reader));
        Ok(Self { rows, line: io::Cursor::new(line(names.iter().map(String::as_str))?) })
    }
}

impl Read for AsCsv {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.line.read(buffer)?;
        if n > 0 || buffer.is_empty() {
            return Ok(n);
        }
        let Some(row) = self.rows.next() else { return Ok(0) };
        let cells: Vec<String> = row.map_err(io::Error::other)?.get_column_iter().map(|(_, field)| text(field)).collect();
        self.line = io::Cursor::new(line(cells.iter().map(String::as_str))?);
        self.line.read(buffer)
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

/// A cell as a CSV file would have it; times in seconds since 1970.
fn text(field: &Field) -> String {
    let seconds = |n: i64, digits: usize| {
        let unit = 10i64.pow(digits as u32);
        format!("{}.{:0digits$}", n.div_euclid(unit), n.rem_euclid(unit))
    };
    match field {
        Field::Null => String::new(),
        Field::Str(s) => s.clone(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        Field::TimestampMillis(n) => seconds(*n, 3),
        Field::TimestampMicros(n) => seconds(*n, 6),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (csv, parquet) = (dir.path().join("t.csv"), dir.path().join("t.parquet"));
        let table = "point,name,value\n0,\"a, b\",1.5\n7,c,\n9,ü,-0.25\n";
        std::fs::write(&csv, table)?;
        write(&csv, &parquet, &[("point".to_owned(), Kind::Whole), ("name".to_owned(), Kind::Text), ("value".to_owned(), Kind::Number)])?;
        let mut back = String::new();
        AsCsv::open(&parquet)?.read_to_string(&mut back)?;
        assert_eq!(back, table);
        Ok(())
    }

    #[test]
    fn other_files_are_refused() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("t.parquet");
        std::fs::write(&path, "time\n1\n")?;
        assert!(AsCsv::open(&path).is_err());
        Ok(())
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(text(&Field::TimestampMicros(1_700_000_000_000_001)), "1700000000.000001");
        assert_eq!(text(&Field::TimestampMillis(1_500)), "1.500");
        assert_eq!(text(&Field::Long(-3)), "-3");
    }
}
