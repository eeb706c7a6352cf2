import com.datastax.driver.core.Cluster;
import com.datastax.driver.core.PreparedStatement;
import com.datastax.driver.core.Row;
import com.datastax.driver.core.Session;

/** Writes a hundred notes to the node HOST PORT and reads them again. */
public class Notes {
    static final int COUNT = 100;

    public static void main(String[] arguments) throws Exception {
        try (Cluster cluster = Cluster.builder().addContactPoint(arguments[0]).withPort(Integer.parseInt(arguments[1])).build();
                Session session = cluster.connect()) {
            session.execute("CREATE KEYSPACE IF NOT EXISTS example WITH replication = "
                    + "{'class': 'SimpleStrategy', 'replication_factor': 1}");
            session.execute("CREATE TABLE IF NOT EXISTS example.notes (number int PRIMARY KEY, text text)");
            PreparedStatement insert = session.prepare("INSERT INTO example.notes (number, text) VALUES (?, ?)");
            for (int i = 1; i <= COUNT; i++) session.execute(insert.bind(i, "note " + i));
            System.out.println("inserted " + COUNT);
            int right = 0;
            for (Row row : session.execute("SELECT number, text FROM example.notes"))
                if (row.getString("text").equals("note " + row.getInt("number"))) right++;
            System.out.println("selected " + right);
        }
        Thread.sleep(Long.MAX_VALUE);
    }
}
