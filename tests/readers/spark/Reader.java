import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Runs each line of standard input as SQL; answers "ok", a tab, and the rows as a JSON list, or "error" and why. */
public final class Reader {
    public static void main(String[] arguments) throws Exception {
        SparkSession.Builder builder = SparkSession.builder()
            .master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions");
        for (String setting : arguments) {
            String[] pair = setting.split("=", 2);
            builder = builder.config(pair[0], pair[1]);
        }
        SparkSession spark = builder.getOrCreate();
        System.out.println("ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String answer;
            try {
                Dataset<Row> rows = spark.sql(line);
                answer = "ok\t[" + String.join(",", rows.toJSON().collectAsList()) + "]";
            } catch (Exception problem) {
                answer = "error\t" + String.valueOf(problem.getMessage()).replace('\n', ' ');
            }
            System.out.println(answer);
        }
        spark.stop();
    }
}
