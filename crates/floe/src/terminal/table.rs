//! Tables: fitted to a terminal's width, one line a row; whole where nobody's screen is at stake.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Row, presets};

/// A column's title and side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// For words.
    Left(&'static str),
    /// For numbers.
    Right(&'static str),
}

/// Rows under titles.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row, a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table's lines, each ended by a newline; cells are cut where `width` is too small for them.
    pub(crate) fn render(&self, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        match width {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        table.set_truncation_indicator("…");
        table.set_header(self.columns.iter().map(|column| match column {
            Column::Left(title) => Cell::new(title),
            Column::Right(title) => Cell::new(title).set_alignment(CellAlignment::Right),
        }));
        for cells in &self.rows {
            let mut row = Row::from(cells.iter().zip(&self.columns).map(|(text, column)| match column {
                Column::Left(_) => Cell::new(text),
                Column::Right(_) => Cell::new(text).set_alignment(CellAlignment::Right),
            }));
            row.max_height(1);
            table.add_row(row);
        }
        for (index, _) in self.columns.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2));
            }
        }
        table.trim_fmt().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_width_or_stays_whole() {
        let mut table = Table::new([Column::Right("LAYER"), Column::Right("SIZE"), Column::Left("RULE")]);
        table.row(["1", "48.2 MB", "paths that change together, small ones packed"].map(str::to_owned));
        table.row(["12", "1.00 kB", "application"].map(str::to_owned));
        insta::assert_snapshot!(table.render(None));
        let fitted = table.render(Some(40));
        assert_eq!(fitted.lines().count(), 3, "{fitted}");
        assert!(fitted.lines().all(|line| line.chars().count() <= 40), "{fitted}");
    }
}
